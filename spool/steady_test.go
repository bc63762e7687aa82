package spool

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// A day of collections, one in ten seconds, delivered at once but for outages:
// the file grows to what the outages need, and then no more.
func TestTheFileDoesNotGrowInADayOfUse(t *testing.T) {
	collections := int64(24 * 60 * 6)
	if !metrictest.Long() {
		collections /= 8
	}
	q, _ := open(t, t.TempDir(), WithNoSync())
	var early, late int64 // the largest size in the first part, and later
	for i := range collections {
		putValues(t, q, 100, i)
		if i%100 >= 20 { // the backend is there
			drain(t, q)
		}
		if i < collections/8 {
			early = max(early, size(t, q))
		} else {
			late = max(late, size(t, q))
		}
	}
	t.Logf("%d bytes in the first part, %d later", early, late)
	require.LessOrEqual(t, late, early)
}
