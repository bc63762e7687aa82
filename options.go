package asyncmetric

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An Option configures an [Exporter]. Values are checked in [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// WithMaxQueueSize sets how many data points may wait for delivery, at least
// 1. What is being delivered, one collection, comes on top. A single
// collection that is larger is still accepted where nothing else waits: a
// limit must not turn telemetry off.
//
// The default is 262144. A waiting point takes about 110 bytes, one of a
// histogram about 200 and 8 for each bucket, of an exponential histogram up to
// 1.3 kB, and each waiting collection about 1 kB besides, which counts where
// collections have a few points only.
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
// one call. Larger collections are split; different collections are put
// together only under [WithMerging]. The default is 8192; 0 means that
// collections are never split.
func WithMaxExportBatchSize(points int) Option {
	return optionFunc(func(c *config) { c.maxExportBatchSize = points })
}

// WithMerging joins collections that wait next to each other, and have equal
// resources, into one batch, as many as fit into [WithMaxExportBatchSize]. With
// a linger above 0, a batch that is not full waits that long for more, but not
// when a flush or a shutdown wants it, nor when what comes next does not fit.
// Each metric then has the data points of all these collections, in order of
// time. Nothing is summed up. What is being delivered is one batch instead of
// one collection.
//
// The linger must be at least 0 and less than [WithMaxAge], if there is one, and
// [WithMaxExportBatchSize] must not be 0.
//
// It saves requests where collections are small. It is off by default because
// the specification of the SDK forbids readers to combine collections, and
// because not every backend accepts several points of a series in one request.
// The protocols of OpenTelemetry and Prometheus have room for them, Google Cloud
// Monitoring refuses them. If the answer to such a batch is lost and it is sent
// again, older points of a series come after newer ones, which a strict backend
// refuses as well; it has them already. See
// https://opentelemetry.io/docs/specs/otel/metrics/sdk/#periodic-exporting-metricreader,
// https://prometheus.io/docs/specs/remote_write_spec/ and
// https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/create.
func WithMerging(linger time.Duration) Option {
	return optionFunc(func(c *config) { c.merging, c.linger = true, linger })
}

// WithExportTimeout sets the deadline of each call of the inner exporter:
// every attempt of an Export, and every ForceFlush and Shutdown. It must be
// above 0. The default is 30 s.
func WithExportTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.exportTimeout = d })
}

// WithDrainTimeout bounds ForceFlush and Shutdown when their context has no
// deadline. It must be above 0. The default is 30 s. It makes no difference
// behind a PeriodicReader, which sets a deadline itself where there is none: its
// own timeout (metric.WithTimeout).
func WithDrainTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.drainTimeout = d })
}

// WithRetry sets how failed exports are repeated. The default is that of the
// zero [Retry], with a Jitter of 0.5.
func WithRetry(r Retry) Option {
	return optionFunc(func(c *config) { c.retry, c.retryDisabled = r, false })
}

// WithoutRetry makes each export the only attempt: a batch that fails is
// dropped with the reason permanent. During Shutdown, what another attempt might
// deliver is left to the next process if the queue is durable.
func WithoutRetry() Option {
	return optionFunc(func(c *config) { c.retryDisabled = true })
}

// WithMaxAge drops collections, with the reason age, that were accepted longer
// than d ago, instead of delivering what no one wants any more. It is checked
// before each attempt. The age of a collection that overflow has joined with
// others is that of the newest of them. The default, and the meaning of 0, is
// no limit.
func WithMaxAge(d time.Duration) Option {
	return optionFunc(func(c *config) { c.maxAge = d })
}

// WithMinInterval sets the least time between the starts of two calls of the
// inner exporter's Export, repetitions, batches of one collection and replicas
// included, for a backend that refuses points of a series that come closer. A
// flush and a shutdown wait for it, within their context. The default, and the
// meaning of 0, is none.
func WithMinInterval(d time.Duration) Option {
	return optionFunc(func(c *config) { c.minInterval = d })
}

// WithReplicas adds exporters that send to the same destination as the first
// one. The batches of a collection then go out in parallel, one at a time
// through each exporter, and the next collection follows when all of them have
// ended, so that the points of each series stay in order. That is for backends
// with much latency: an OTLP exporter handles one request at a time.
//
// Collections of one batch are not sent any faster, and one with several
// points of a series, which overflow and [WithMerging] bring about, goes out one
// batch after the other. A batch that fails is repeated through the same
// exporter. Of Prometheus, see docs/options.md about target_info. If one of them does
// not return from Export at all, delivery waits for
// it.
//
// What holds for the exporter given to [New] holds for each of these: it is
// flushed and shut down, and must not be used elsewhere. All must have the same
// temporality and aggregation, and none may be given twice. The default is no
// replicas; the option may be used several times.
func WithReplicas(more ...metric.Exporter) Option {
	more = slices.Clone(more)
	return optionFunc(func(c *config) { c.replicas = append(c.replicas, more...) })
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
// dropped, and, at most every ten seconds, that the queue overflows and that
// data is too old. The default is otel.Handle.
//
// The handler is called by the goroutines of delivery or within Export. It should
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

// WithMeterProvider sets where the exporter's own metrics go: what is queued,
// delivered and dropped, and how long it takes. The documentation of the
// package has their names. They may go through the same exporter: they are few,
// and their number does not grow. Those of the queue end with Shutdown. The
// default is none.
func WithMeterProvider(p apimetric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider, c.meterProviderGiven = p, true })
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
	// or retries are off, or a durable queue cannot express the data.
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
