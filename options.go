package asyncmetric

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An Option configures an [Exporter]. Values are checked in [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	maxQueueSize       int
	overflow           queue.Overflow
	maxExportBatchSize int
	exportTimeout      time.Duration
	drainTimeout       time.Duration
	retry              Retry
	retryDisabled      bool
	queue              queue.Queue
	errorHandler       otel.ErrorHandler
	onDrop             func(Drop)

	queueGiven   bool   // WithQueue was used
	memoryOption string // the option that concerns only the queue in memory, if one was used
}

func defaultConfig() config {
	return config{
		maxQueueSize:       262144,
		overflow:           queue.Coalesce,
		maxExportBatchSize: 8192,
		exportTimeout:      30 * time.Second,
		drainTimeout:       30 * time.Second,
		retry:              defaultRetry(),
		errorHandler:       otel.ErrorHandlerFunc(otel.Handle),
		onDrop:             func(Drop) {},
	}
}

// newConfig applies opts to the defaults and checks the result.
func newConfig(opts []Option) (config, error) {
	c := defaultConfig()
	for i, o := range opts {
		if o == nil {
			return c, invalid("option %d of New is nil", i+1)
		}
		o.apply(&c)
	}
	c.retry = c.retry.withDefaults()
	return c, c.validate()
}

// invalid returns an error that wraps ErrInvalidOption.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidOption, fmt.Sprintf(format, args...))
}

// validate returns all that is wrong.
func (c *config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, invalid(format, args...))
		}
	}
	check(c.maxQueueSize >= 1, "WithMaxQueueSize(%d): must be at least 1", c.maxQueueSize)
	check(c.overflow.Valid(), "WithOverflow(%v): must be one of the policies of package queue", c.overflow)
	check(c.maxExportBatchSize >= 0, "WithMaxExportBatchSize(%d): must be at least 1, or 0 for no limit", c.maxExportBatchSize)
	check(c.exportTimeout > 0, "WithExportTimeout(%v): must be above 0", c.exportTimeout)
	check(c.drainTimeout > 0, "WithDrainTimeout(%v): must be above 0", c.drainTimeout)
	check(!c.queueGiven || c.queue != nil, "WithQueue(nil): leave it out for a queue in memory")
	check(!c.queueGiven || c.memoryOption == "",
		"%s concerns the queue in memory and has no effect on the one of WithQueue: set the bound there", c.memoryOption)
	check(c.errorHandler != nil, "WithErrorHandler(nil): leave it out for otel.Handle")
	check(c.onDrop != nil, "WithOnDrop(nil): leave it out for none")
	return errors.Join(append(errs, c.retry.validate())...)
}

// WithMaxQueueSize sets how many data points may wait for delivery, at least
// 1. What is being delivered, one collection, comes on top. A single
// collection that is larger is still accepted where nothing else waits: a
// limit must not turn telemetry off.
//
// The default is 262144. A waiting point takes about 100 bytes, a histogram
// point about 200 and 8 for each bucket, and each waiting collection about 1 kB
// besides, which counts where collections have a few points only.
func WithMaxQueueSize(points int) Option {
	return optionFunc(func(c *config) {
		c.maxQueueSize = points
		c.memoryOption = "WithMaxQueueSize"
	})
}

// WithOverflow sets what happens to a collection for which the queue has no
// room: one of the policies of package queue. The default is [queue.Coalesce],
// which loses resolution in time, and no total.
func WithOverflow(o queue.Overflow) Option {
	return optionFunc(func(c *config) {
		c.overflow = o
		c.memoryOption = "WithOverflow"
	})
}

// WithMaxExportBatchSize sets how many data points the inner exporter gets in
// one call. Larger collections are split; different collections are never put
// together. The default is 8192; 0 means that collections are never split.
func WithMaxExportBatchSize(points int) Option {
	return optionFunc(func(c *config) { c.maxExportBatchSize = points })
}

// WithExportTimeout sets the deadline of each call of the inner exporter:
// every attempt of an Export, and every ForceFlush and Shutdown. It must be
// above 0. The default is 30 s.
func WithExportTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.exportTimeout = d })
}

// WithDrainTimeout bounds ForceFlush and Shutdown when their context has no
// deadline, as PeriodicReader does with its own. It must be above 0. The
// default is 30 s.
func WithDrainTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.drainTimeout = d })
}

// WithRetry sets how failed exports are repeated. The default is that of the
// zero [Retry], with a Jitter of 0.5.
func WithRetry(r Retry) Option {
	return optionFunc(func(c *config) { c.retry, c.retryDisabled = r, false })
}

// WithoutRetry makes each export the only attempt: a batch that fails is
// dropped with the reason permanent.
func WithoutRetry() Option {
	return optionFunc(func(c *config) { c.retryDisabled = true })
}

// WithQueue replaces the queue in memory by another one, such as one on disk.
// It must not be used by anything else; the exporter closes it at Shutdown.
// [WithMaxQueueSize] and [WithOverflow] cannot be combined with it, since the
// queue brings its own bound.
func WithQueue(q queue.Queue) Option {
	return optionFunc(func(c *config) { c.queue, c.queueGiven = q, true })
}

// WithErrorHandler sets who learns of errors that no caller can be told of:
// each failed batch, once when it is to be tried again and once when it is
// dropped, and, at most every ten seconds, that the queue overflows. The
// default is otel.Handle.
//
// The handler is called on the delivery goroutine or within Export. It should
// return quickly, may be called concurrently, and must not call ForceFlush or
// Shutdown of the exporter, nor Export under queue.Block: it would wait for
// itself.
func WithErrorHandler(h otel.ErrorHandler) Option {
	return optionFunc(func(c *config) { c.errorHandler = h })
}

// WithOnDrop sets a function that is called for everything that is dropped,
// after it has been counted. The same holds for it as for the handler of
// [WithErrorHandler]. The default is none.
func WithOnDrop(f func(Drop)) Option {
	return optionFunc(func(c *config) { c.onDrop = f })
}

// A Drop says that data points ended without being exported, and why.
type Drop = queue.Drop

// A DropReason is why data points were dropped.
type DropReason = queue.DropReason

// The reasons for a [Drop].
const (
	// ReasonOverflow: the queue was full.
	ReasonOverflow = queue.ReasonOverflow
	// ReasonPermanent: the inner exporter failed in a way that is not retried,
	// or retries are off.
	ReasonPermanent = queue.ReasonPermanent
	// ReasonElapsed: MaxElapsedTime of [Retry] would have been exceeded.
	ReasonElapsed = queue.ReasonElapsed
	// ReasonAge: the data was too old.
	ReasonAge = queue.ReasonAge
	// ReasonShutdown: Shutdown had to end before the data was delivered.
	ReasonShutdown = queue.ReasonShutdown
	// ReasonCorrupt: what a durable queue had stored could not be read back.
	ReasonCorrupt = queue.ReasonCorrupt
)
