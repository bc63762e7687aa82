package queue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/queue/queuetest"
)

func TestMemoryKeepsTotals(t *testing.T) {
	for name, boundOf := range map[string]func(points int) queue.Bound{
		"bounded in data points": func(points int) queue.Bound { return queue.Bound{Points: points} },
		"bounded in bytes":       func(points int) queue.Bound { return queue.Bound{Bytes: int64(400 * points)} },
	} {
		t.Run(name, func(t *testing.T) {
			queuetest.RunTotals(t, queuetest.Config{New: func(t *testing.T, maxPoints int, o queue.Overflow) queue.Queue {
				m, err := queue.NewMemory(boundOf(maxPoints), o)
				require.NoError(t, err)
				return m
			}})
		})
	}
}
