package jetstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/queue/queuetest"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// bytesPerPoint makes a bound in bytes of one in data points. Messages have
// headers, and a collection as large as 50 bounds has to fit.
const bytesPerPoint = 1000

// shortPulls makes Close short.
var shortPulls = optionFunc(func(c *config) { c.longestPull = 10 * time.Millisecond })

func TestQueueKeepsTheContract(t *testing.T) {
	url := startServer(t, func(o *server.Options) { o.JetStreamMaxMemory = 1 << 40 }).ClientURL() // is not used up
	js := connect(t, url)
	var streams atomic.Int64
	queuetest.Run(t, queuetest.Config{
		Overflows: []queue.Overflow{queue.DropOldest, queue.DropNewest},
		New: func(t *testing.T, maxPoints int, overflow queue.Overflow) queue.Queue {
			if strings.HasSuffix(t.Name(), "/OverflowEndsWhereTakeMakesRoom") {
				t.Skip("a stream does not tell what is in flight from what waits: see the package documentation")
			}
			n := streams.Add(1)
			q, err := Open(t.Context(), js, WithStream(fmt.Sprintf("S%d", n)), WithSubject(fmt.Sprintf("s%d", n)),
				shortPulls, WithPartitions(2), WithMemoryStorage(), WithMaxBytes(int64(maxPoints)*bytesPerPoint), WithOverflow(overflow))
			require.NoError(t, err)
			return q
		},
		Equal: sameCollection,
	})
}

// sameCollection reports whether put came out as taken, as far as OTLP tells
// collections apart.
func sameCollection(put, taken *metricdata.ResourceMetrics) bool {
	record, err := frame.EncodeCollection(put, maxData)
	if err != nil {
		return false
	}
	expected, err := frame.DecodeCollection(record, maxData)
	if err != nil {
		return false
	}
	a, errA := frame.EncodeCollection(expected, maxData)
	b, errB := frame.EncodeCollection(taken, maxData)
	return errA == nil && errB == nil && string(a) == string(b)
}
