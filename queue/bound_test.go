package queue_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestInfoHasTheBoundWithItsDefaults(t *testing.T) {
	for name, c := range map[string]struct{ given, want queue.Bound }{
		"the zero value": {queue.Bound{}, queue.Bound{Bytes: 64 << 20}},
		"points":         {queue.Bound{Points: 7}, queue.Bound{Points: 7, Bytes: queue.DefaultMaxBytes}},
		"bytes":          {queue.Bound{Bytes: 1 << 30}, queue.Bound{Bytes: 1 << 30}},
		"both":           {queue.Bound{Points: 7, Bytes: 1}, queue.Bound{Points: 7, Bytes: 1}},
	} {
		m, err := queue.NewMemory(c.given, queue.Block)
		require.NoError(t, err, name)
		info := m.Info()
		assert.Equal(t, c.want, queue.Bound{Points: info.MaxPoints, Bytes: info.MaxBytes}, name)
		assert.Equal(t, queue.Block, info.Overflow, name)
	}
}

func TestWithoutABoundInPointsAnyNumberOfThemWaits(t *testing.T) {
	m, err := queue.NewMemory(queue.Bound{}, queue.DropNewest)
	require.NoError(t, err)
	for v := range int64(100) {
		require.NoError(t, m.Put(t.Context(), metrictest.Numbers(1000, v)))
	}
	assert.Equal(t, 100_000, m.Stats().Queued)
}
