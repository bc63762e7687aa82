package rival

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool"
)

// openAsync returns asyncmetric as its README has it, around exporters without
// retries of their own.
func openAsync(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	options := []asyncmetric.Option{
		asyncmetric.WithMaxQueueSize(s.capacity()),
		asyncmetric.WithMaxQueueBytes(math.MaxInt64), // the others have no such bound
	}
	if s.WhenFull == Wait {
		options = append(options, asyncmetric.WithOverflow(queue.Block))
	}
	return newAsync(ctx, s, options...)
}

// openSpool returns asyncmetric with its queue on disk.
func openSpool(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	var options []spool.Option
	if !s.Sync {
		options = append(options, spool.WithNoSync())
	}
	q, err := spool.Open(s.Dir, options...)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	e, err := newAsync(ctx, s, asyncmetric.WithQueue(q))
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return e, nil
}

func newAsync(ctx context.Context, s Settings, options ...asyncmetric.Option) (sdkmetric.Exporter, error) {
	inner, err := s.Target.Exporter(ctx, WithoutRetries)
	if err != nil {
		return nil, fmt.Errorf("inner exporter: %w", err)
	}
	for range s.Workers - 1 {
		replica, err := s.Target.Exporter(ctx, WithoutRetries)
		if err != nil {
			return nil, fmt.Errorf("replica: %w", err)
		}
		options = append(options, asyncmetric.WithReplicas(replica))
	}
	if s.BatchSize > 0 {
		options = append(options, asyncmetric.WithMaxExportBatchSize(s.BatchSize))
	}
	options = append(options, asyncmetric.WithErrorHandler(silence{}), asyncmetric.WithRetry(asyncmetric.Retry{
		InitialInterval: s.scaled(time.Second),
		MaxInterval:     s.scaled(30 * time.Second),
		Jitter:          0.5,
	}))
	e, err := asyncmetric.New(inner, options...)
	if err != nil {
		return nil, fmt.Errorf("asyncmetric: %w", err)
	}
	return e, nil
}

// silence drops reports of errors: they are on purpose here.
type silence struct{}

func (silence) Handle(error) {}
