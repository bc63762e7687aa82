package spool

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
)

// Thousands of collections, delivered at once but for an outage
// now and then: the file grows to what the outages need, and then no more.
func TestTheFileDoesNotGrowInSteadyUse(t *testing.T) {
	collections := int64(3000)
	if testing.Short() {
		collections = 1000
	}
	q, _ := open(t, t.TempDir(), WithNoSync())
	size := func() int64 {
		info, err := os.Stat(q.path())
		require.NoError(t, err)
		return info.Size()
	}
	var early int64
	for i := range collections {
		putValues(t, q, 100, i)
		if i%100 < 20 { // out
			continue
		}
		for {
			e, err := q.Take(t.Context(), nil)
			if errors.Is(err, queue.ErrEmpty) {
				break
			}
			require.NoError(t, err)
			require.NoError(t, e.Settle(e.Points(), 0))
		}
		if i == collections/10+50 {
			early = size()
		}
	}
	t.Logf("%d bytes after a tenth, %d at the end", early, size())
	require.LessOrEqual(t, size(), early)
}
