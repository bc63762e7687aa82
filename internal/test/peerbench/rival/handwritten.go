package rival

import (
	"context"
	"errors"
	"fmt"
	"sync"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// errFull is returned when a collection is dropped because the channel is full.
var errFull = errors.New("the channel is full")

// handWritten is the queue that one writes in an afternoon: a channel, a deep
// copy, and a goroutine that exports and lets the exporter care about failures.
type handWritten struct {
	sdkmetric.Exporter // the first of the inner ones

	inner       []sdkmetric.Exporter
	collections chan *metricdata.ResourceMetrics // closed by Shutdown
	whenFull    WhenFull
	working     sync.WaitGroup
	closing     sync.Once
}

func openHandWritten(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	h := &handWritten{collections: make(chan *metricdata.ResourceMetrics, s.Collections), whenFull: s.WhenFull}
	for range max(1, s.Workers) {
		inner, err := s.Target.Exporter(ctx, WithRetries)
		if err != nil {
			return nil, fmt.Errorf("inner exporter: %w", err)
		}
		h.inner = append(h.inner, inner)
	}
	for _, inner := range h.inner {
		h.working.Go(func() { h.work(inner) })
	}
	h.Exporter = h.inner[0]
	return h, nil
}

// Export implements [sdkmetric.Exporter]. It must not be called after Shutdown.
func (h *handWritten) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	c := DeepCopy(rm)
	if h.whenFull == Wait {
		select {
		case h.collections <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case h.collections <- c:
		return nil
	default:
		return errFull
	}
}

// ForceFlush implements [sdkmetric.Exporter]. It does not wait for the channel.
func (h *handWritten) ForceFlush(context.Context) error { return nil }

// Shutdown implements [sdkmetric.Exporter]: it exports what is in the channel.
func (h *handWritten) Shutdown(ctx context.Context) error {
	h.closing.Do(func() { close(h.collections) })
	h.working.Wait()
	var err error
	for _, inner := range h.inner {
		err = errors.Join(err, inner.Shutdown(ctx))
	}
	return err
}

func (h *handWritten) work(inner sdkmetric.Exporter) {
	for rm := range h.collections {
		// What fails is lost: the exporter has tried it again already.
		_ = inner.Export(context.Background(), rm)
	}
}
