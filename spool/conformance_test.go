package spool

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/queue/queuetest"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// bytesPerPoint makes a bound in bytes of one in data points.
const bytesPerPoint = 5

func TestQueueKeepsTheContract(t *testing.T) {
	queuetest.Run(t, queuetest.Config{
		New: func(t *testing.T, maxPoints int, overflow queue.Overflow) queue.Queue {
			q, err := Open(t.TempDir(), WithMaxBytes(int64(maxPoints)*bytesPerPoint), WithOverflow(overflow), WithNoSync())
			require.NoError(t, err)
			return q
		},
		Equal:   sameCollection,
		Blocked: func(q queue.Queue) int { return q.(*Queue).blockedPuts() },
		Reopen: func(t *testing.T, closed queue.Queue) queue.Queue {
			c := closed.(*Queue)
			q, err := Open(c.dir, WithMaxBytes(c.config.maxBytes), WithOverflow(c.config.overflow))
			require.NoError(t, err)
			return q
		},
	})
}

// blockedPuts returns how many calls of Put wait for room.
func (q *Queue) blockedPuts() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.full {
		return 0
	}
	return len(q.line)
}

// sameCollection reports whether put came out as taken, as far as OTLP tells
// collections apart.
func sameCollection(put, taken *metricdata.ResourceMetrics) bool {
	record, err := frame.EncodeCollection(put, frame.MaxSize)
	if err != nil {
		return false
	}
	expected, err := frame.DecodeCollection(record, frame.MaxSize)
	if err != nil {
		return false
	}
	a, errA := frame.EncodeCollection(expected, frame.MaxSize)
	b, errB := frame.EncodeCollection(taken, frame.MaxSize)
	return errA == nil && errB == nil && string(a) == string(b)
}
