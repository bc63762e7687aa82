// Package asyncmetric puts a bounded queue between the metric SDK of
// OpenTelemetry and an exporter, so that a slow, failing or absent backend
// costs the application nothing.
//
// The SDK hands each collection to its exporter once, on the goroutine of the
// reader. While that call waits for the network, nothing is collected; when it
// fails, the collection is gone, and with delta temporality its counts are lost
// for good. An [Exporter] wraps any exporter and is one itself: its Export
// copies the collection into a queue and returns, and one goroutine delivers
// what is queued, in order, splits what is too large, and repeats what failed.
//
//	SDK instruments -> PeriodicReader -> Exporter -> queue -> delivery -> inner exporter -> backend
//	                   (collects)        (copies)             (orders, splits, retries)
//
// # Use
//
// Wrap the exporter that you have, and give the result to the reader:
//
//	inner, err := otlpmetrichttp.New(ctx,
//		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}))
//	...
//	exporter, err := asyncmetric.New(inner)
//	...
//	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)))
//
// The inner exporter belongs to the wrapper from then on. Its own retries are
// best switched off: they would multiply with those of this package, and a flush
// could not cut them short.
//
// At the end, flush and shut down the provider, as without this package:
//
//	err = errors.Join(provider.ForceFlush(soon), provider.Shutdown(ctx))
//
// Shutdown delivers what is queued within its context. The flush before it keeps
// it from meeting the reader in the middle of a collection, which the SDK would
// then cancel. Give the flush a context of its own, with a part of the time:
// while the backend is away, it waits for as long as it may.
//
// Each reader needs an Exporter of its own. For two destinations, use two
// readers; [WithReplicas] is for several connections to one.
//
// # Collections, batches, points
//
// A collection is what the reader collects at one time and hands to Export. It
// is the unit of the queue: collections wait in the order in which they came, and
// one is delivered when the one before it has ended. A batch is what the inner
// exporter gets in one call: a collection, or a part of one that is larger than
// [WithMaxExportBatchSize], or with [WithMerging] several that are small. It is
// the unit of delivery: a batch is sent again by itself.
//
// Everything is counted in data points, one for each series of a collection. A
// point has one end. It is exported; or dropped, for one of the reasons of
// [DropReason], of which the function of [WithOnDrop] is told; or taken up by a
// later point of its series, coalesced. What has not ended is queued, in flight
// or not. So at any instant, [Exporter.Stats] satisfies
//
//	Accepted == Exported + Dropped + Coalesced + Queued
//
// # When delivery fails
//
// An error of the inner exporter is transient or permanent, as Classify of
// [Retry] says, by default [DefaultClassify]. After a transient error the batch is
// sent again, with back-off from 1 s to 30 s and for as long as it takes, and
// what is behind it waits, since the points of a series must stay in order.
// [Retry] and [WithMaxAge] can set an end to that. After a permanent error the
// batch is dropped, and the next one follows. The handler of [WithErrorHandler]
// hears of both.
//
// Delivery is at least once: when the answer of a server is lost, the batch is
// sent again. What a server has accepted, but for a part of it, is not.
//
// An exporter that the package does not know needs a Classify of its own if it
// has transient errors other than deadlines and network errors:
//
//	asyncmetric.WithRetry(asyncmetric.Retry{
//		Classify: func(err error) (retry bool, after time.Duration) {
//			if errors.Is(err, mybackend.ErrBusy) {
//				return true, time.Second
//			}
//			return asyncmetric.DefaultClassify(err)
//		},
//	})
//
// # When the queue is full
//
// As many data points may wait as [WithMaxQueueSize] says. Beyond that, the
// policy of [WithOverflow] decides. The default, [queue.Coalesce], makes one of two
// collections that wait next to each other: delta sums and histograms are added
// up, of cumulative data and gauges the newer point stays, and where two points
// cannot become one without losing more than time, both stay. What is lost is
// resolution, evenly over the outage, and no total. So the bound decides how
// coarse the data of a long outage is, not whether it is there.
//
// [queue.DropOldest] and [queue.DropNewest] drop, and [queue.Block] makes Export
// wait; each says when to choose it.
//
// The queue is in memory and ends with the process. [WithQueue] takes another one:
// that of package spool keeps what is queued in a file, from which the next process
// goes on.
//
// # Guarantees
//
// Export does not wait for the inner exporter, and what it keeps shares
// nothing with its argument. Memory is bounded: so many data points wait as
// [WithMaxQueueSize] says, and one collection, or with [WithMerging] one batch, is
// being delivered. The points of a series are delivered in order, also after
// failures and with several replicas. The inner exporter never gets two calls at
// once, has a deadline for each, and may panic, or change what it is given.
//
// [Exporter.ForceFlush] returns when everything accepted before it has ended,
// and [Exporter.Shutdown] delivers what it can until its context ends. No
// goroutine is left behind, except one that is caught in a call of the inner
// exporter or of the MeterProvider, until that call returns.
//
// # Choosing options
//
// The defaults suit most applications. Reasons to change them:
//
//   - [WithMaxQueueSize]: finer data after long outages, or less memory. A
//     collection of 1000 series each minute fills the default in more than four
//     hours.
//   - [WithMaxExportBatchSize]: a server that refuses large requests.
//   - [WithReplicas]: large collections and a backend that is far away.
//   - [WithMerging]: many small collections, and a backend that takes several
//     points of a series in one request.
//   - [WithMinInterval], [WithMaxAge]: a backend that refuses requests that are too
//     close, or data that is too old.
//   - [WithQueue]: data that must outlive the process.
//   - [WithErrorHandler], [WithOnDrop], [WithMeterProvider]: to know what happens.
//
// # Performance
//
// Export copies, with memory that it uses again: while delivery keeps up it
// allocates nothing for each point or metric, and takes two to three times as long
// as moving the same bytes. Behind a backlog each collection takes new memory. On a full queue under Coalesce it takes about ten times as
// long. Nothing is locked while anything waits for the network. An Exporter that
// has nothing to do is one goroutine that waits.
//
// # Its own metrics
//
// With [WithMeterProvider], an Exporter measures itself. Each metric has the
// attributes otel.component.name, which tells the exporters of a process apart
// (see [Status]), and otel.component.type. Those named otel.sdk are as the
// semantic conventions of OpenTelemetry define them, where being exported begins
// when a collection is taken from the queue.
//
//	otel.sdk.exporter.metric_data_point.inflight  data points that are being delivered
//	otel.sdk.exporter.metric_data_point.exported  those whose delivery has ended, with error.type if it failed
//	otel.sdk.exporter.operation.duration          from the first attempt of a batch to the end of the last, s
//	asyncmetric.queue.size                        data points in the queue, in flight included
//	asyncmetric.queue.capacity                    how many may wait
//	asyncmetric.queue.oldest_age                  how long the oldest collection has been queued, s
//	asyncmetric.data_points.dropped               by reason, see [DropReason]
//	asyncmetric.data_points.coalesced             taken up by a later point on overflow
//	asyncmetric.export.retries                    attempts that repeated an earlier one
//	asyncmetric.delivery.latency                  from Export of a collection to its delivery, s
//
// They may go through the same exporter, and then arrive after an outage, not
// during it. For Grafana there is a dashboard, dashboards/asyncmetric.json; without
// any backend, package statusz serves a page.
//
// # Further reading
//
// The folder docs of the repository says more of [choosing options], [operating]
// and [migrating], has the [guarantees] with the tests that hold them, and answers
// [questions]. The folder examples has whole programs.
//
// [choosing options]: https://github.com/asyncmetric/asyncmetric/blob/main/docs/options.md
// [operating]: https://github.com/asyncmetric/asyncmetric/blob/main/docs/operating.md
// [migrating]: https://github.com/asyncmetric/asyncmetric/blob/main/docs/migrating.md
// [guarantees]: https://github.com/asyncmetric/asyncmetric/blob/main/docs/guarantees.md
// [questions]: https://github.com/asyncmetric/asyncmetric/blob/main/docs/faq.md
package asyncmetric
