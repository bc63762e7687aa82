package otlp_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

func TestDecodeTakesLittleMemoryWhateverItsInput(t *testing.T) {
	for name, bomb := range bombs(1 << 17) {
		t.Run(name, func(t *testing.T) {
			before := allocated()
			_, err := otlp.Decode(bomb)
			took := allocated() - before
			t.Logf("%d bytes in, %.1f times as much allocated, error %v", len(bomb), float64(took)/float64(len(bomb)), err)
			assert.LessOrEqual(t, took, memoryFor(len(bomb)))
		})
	}
}

func TestAppendDoesNotAllocateForEveryPoint(t *testing.T) {
	rm := metrictest.EveryKind(100)
	buf := encoded(t, rm)
	assert.LessOrEqual(t, testing.AllocsPerRun(10, func() {
		_, err := otlp.Append(buf[:0], rm)
		require.NoError(t, err)
	}), 1.0)
}
