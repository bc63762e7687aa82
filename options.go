package asyncmetric

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/queue"
)

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// WithName sets the name of the exporter, which tells it apart from the others of
// the process: the attribute otel.component.name of its metrics, and part of each
// error. The default is the component type and a number.
func WithName(name string) Option {
	return optionFunc(func(c *config) { c.name, c.nameGiven = name, true })
}

// WithMaxQueueBytes sets how much memory what waits for delivery may keep alive,
// in bytes, at least 1. The memory that the queue keeps for the next collections
// and for joins counts as well. What is being delivered, one collection, comes on
// top. A single collection that is larger is still accepted where nothing else
// waits: a limit must not turn telemetry off. The default is 64 MiB,
// [queue.DefaultMaxBytes].
func WithMaxQueueBytes(n int64) Option {
	return optionFunc(func(c *config) {
		c.maxQueueBytes = n
		c.memoryOption = "WithMaxQueueBytes"
	})
}

// WithMaxQueueSize sets how many data points may wait for delivery, at least
// 1, besides the bound of [WithMaxQueueBytes]: the queue is full when one of the
// two is reached. What is being delivered, and a single collection that is
// larger, are treated as there. The default is no bound in data points.
func WithMaxQueueSize(points int) Option {
	return optionFunc(func(c *config) {
		c.maxQueueSize, c.maxQueueSizeGiven = points, true
		c.memoryOption = "WithMaxQueueSize"
	})
}

// WithOverflow sets what happens to a collection for which the queue has no
// room: one of the policies of package queue. The default is [queue.Coalesce],
// which loses resolution in time, and no total, however the data arrives.
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

// WithDrainTimeout bounds ForceFlush and Shutdown, whatever deadline their
// context has. It must be above 0. By default they take as long as their context
// allows, and 30 s where it has no deadline. A PeriodicReader sets its own
// timeout (metric.WithTimeout) where there is none.
func WithDrainTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.drainTimeout, c.drainTimeoutGiven = d, true })
}

// WithRetry sets how failed exports are repeated. The default is the zero
// [Retry].
func WithRetry(r Retry) Option {
	return optionFunc(func(c *config) { c.retry, c.retryGiven = r, true })
}

// WithoutRetry makes each export the only attempt: a batch that fails is
// dropped with the reason permanent. During Shutdown, what another attempt might
// deliver is left to the next process if the queue is durable. It cannot be
// combined with [WithRetry].
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
// Collections of one batch are not sent any faster. One with several points of a
// series, which overflow and [WithMerging] bring about, goes out one batch after
// the other. An exporter that fails three times in a row hands its batch to
// another one, gets new ones only at times while others work, and is reported
// at growing intervals. If an exporter does not return from Export at all,
// delivery waits for it. For Prometheus, see docs/options.md about target_info.
//
// What holds for the exporter given to [New] holds for each of these: it is
// flushed and shut down, and must not be used elsewhere. All must have the same
// temporality and aggregation, and none may be given twice. The default is no
// replicas; the option may be used several times.
func WithReplicas(more ...metric.Exporter) Option {
	more = slices.Clone(more)
	return optionFunc(func(c *config) { c.replicas = append(c.replicas, more...) })
}

// WithDeadLetter gives e exactly the data points that are refused for good: those
// dropped with the reason permanent. It does not get what a partial success rejects,
// unless that is all of a batch, because the error does not say which points those
// are. It gets each point once; with a durable queue and a crash at least once. The
// resource of what it gets says why, in the attributes asyncmetric.drop.reason,
// .error, .attempts and .exporter.
//
// It has a goroutine and a queue of its own, of 8 MiB at most, so it does not hold
// up delivery; only with a durable queue, what it has just been given waits for it,
// as long as the export timeout. What it does not take is sent again, and the
// oldest is dropped when its queue is full, which the error handler hears of.
// ForceFlush and Shutdown include it. It must not be used by anything else. The
// default is none.
func WithDeadLetter(e metric.Exporter) Option {
	return optionFunc(func(c *config) { c.deadLetter, c.deadLetterGiven = e, true })
}

// WithQueue replaces the queue in memory by another one, such as one on disk.
// It must not be used by anything else; the exporter closes it at Shutdown.
// [WithMaxQueueBytes], [WithMaxQueueSize] and [WithOverflow] cannot be combined
// with it, since the queue brings its own bound.
func WithQueue(q queue.Queue) Option {
	return optionFunc(func(c *config) { c.queue, c.queueGiven = q, true })
}

// WithErrorHandler sets the handler of errors that no caller gets: when an outage
// begins, goes on and is over ([OutageError]), what is dropped, and what else
// fails. Drops of one reason are reported at most every ten seconds, with their
// sum, and so are other errors that may come with each collection. Each error
// names the exporter. The default is otel.Handle.
//
// The handler may be called concurrently, by goroutines of delivery and within
// Export. It should return quickly, and must not call ForceFlush or Shutdown of
// the exporter, which would wait for it, nor Export, which may drop and so call it
// again. A panic of it is only shown in Status.
func WithErrorHandler(h otel.ErrorHandler) Option {
	return optionFunc(func(c *config) { c.errorHandler = h })
}

// WithOnDrop sets a function that is called for everything that is dropped,
// after it has been counted. The error handler gets it as well, so a program
// that logs errors need not log drops. The same rules as for the handler of
// [WithErrorHandler] apply, but a panic is reported. The default is none.
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
