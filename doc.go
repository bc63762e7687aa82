// Package asyncmetric puts a bounded queue between the metric SDK of
// OpenTelemetry and an exporter, so that a slow, failing or absent backend
// costs the application nothing.
//
// The SDK hands each collection to its exporter once, on the goroutine of the
// reader. While that call waits for the network, nothing is collected; when it
// fails, the collection is gone, and with delta temporality its counts are lost
// for good. An [Exporter] wraps any exporter and is one itself: its Export
// copies the collection into a queue and returns, and a worker, one goroutine,
// delivers what is queued, in order, splits what is too large, and repeats what
// failed.
//
//	SDK instruments -> PeriodicReader -> Exporter -> queue -> worker -> inner exporter -> backend
//	                   (collects)        (copies)             (splits, retries)
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
// At the end, shut the provider down, as without this package:
//
//	err = provider.Shutdown(ctx)
//
// Shutdown collects once more, and delivers what is queued within its context,
// which must not have ended: the SDK would not collect.
//
// Each reader needs an Exporter of its own. For two destinations, use two
// readers; [WithReplicas] is for several connections to one.
//
// # Collections, batches, points
//
// A collection is what the reader hands to Export. It is the unit of the queue:
// collections wait in the order in which they came, and the worker takes one when
// the one before it is settled. A batch is what the inner exporter gets in one
// call: a collection, or a part of one that is larger than
// [WithMaxExportBatchSize], or with [WithMerging] several that are small. It is
// the unit of delivery: a batch is sent again by itself.
//
// Everything is counted in data points, one for each series of a collection. A
// point is exported; or dropped, for one of the reasons of [DropReason], with a
// call of the function of [WithOnDrop]; or coalesced: it becomes part of a later
// point of its series. Until then it is queued, in flight or not. So at any
// instant, [Exporter.Stats] satisfies
//
//	Accepted == Exported + Dropped + Coalesced + Queued
//
// Points for which Export returned an error are in no other counter than Refused.
//
// # When delivery fails
//
// What an error of the inner exporter says about the batch, Classify of [Retry]
// decides, by default [DefaultClassify]. Most errors say nothing about it: the
// worker sends the batch again, with back-off from 1 s to 30 s and for as long as it
// takes, and what is behind it waits, since the points of a series must stay in
// order. [Retry] and [WithMaxAge] can set an end to that. A batch that is too large
// is halved until it fits. One whose data is bad is dropped, and given to the
// exporter of [WithDeadLetter]; the next one follows.
//
// A batch that fails for 15 minutes is put to the test, because it may be what makes
// the server fail. Parts of it are sent, and data points of what is behind it,
// none before an older one of its series. A part that keeps failing directly after
// other data got through is dropped. If nothing gets through, it is an outage, and
// all waits on. Suspect of [Retry] changes the time.
//
// The handler of [WithErrorHandler] gets a report when an outage begins, some
// reminders, and one when it is over ([OutageError]); and of drops at most one
// every ten seconds for each reason, with their sum. Each error names the
// exporter, see [WithName].
//
// Delivery is at least once: when the answer of a server is lost, the batch is
// sent again. What a server has accepted is not, nor is the part that it rejected
// ([RejectedError]).
//
// The errors of an exporter that the package does not know are retried. If it means
// one for good, it returns a [RejectedError], or Classify says so:
//
//	asyncmetric.WithRetry(asyncmetric.Retry{
//		Classify: func(err error) (v asyncmetric.Verdict) {
//			if errors.Is(err, mybackend.ErrInvalid) {
//				v.Action = asyncmetric.ActionDrop
//			}
//			return v // zero leaves it to DefaultClassify
//		},
//	})
//
// # When the queue is full
//
// What waits may take as much memory as [WithMaxQueueBytes] says, 64 MiB by
// default, and with [WithMaxQueueSize] have as many data points as that says.
// Beyond that, the policy of [WithOverflow] decides. The default,
// [queue.Coalesce], joins collections of one resource that follow each other,
// whether they arrived whole or in pieces, and from however many providers: delta
// sums and histograms are added up, of two gauges the newer one stays, and of two
// cumulative points if it contains the older one. Where two points cannot become
// one without losing more than time, both stay. What is lost is resolution, evenly
// over the outage, and no total. So the bound decides how coarse the data of a
// long outage is, not whether it is there. Data is dropped only where there is
// little to join, because most series come once.
//
// A cumulative value that falls without a new start time is seen only if both
// sides of the fall wait. Of 10, 2, 12 the backend gets 10 and 12 if 10 has been
// delivered, or if 2 and 12 were joined first.
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
// Export does not wait for the inner exporter. What it keeps shares
// nothing with its argument. Memory is bounded: what waits takes at most as much
// as [WithMaxQueueBytes] says, and one collection, or with [WithMerging] one batch,
// is in flight. The points of a series are delivered in order, also after
// failures and with several replicas. The inner exporter never gets two calls at
// once, has a deadline for each, and may panic, or change what it is given.
//
// [Exporter.ForceFlush] returns when everything accepted before it is settled,
// and returns the errors of what was dropped of that. [Exporter.Shutdown] delivers
// what it can until its context ends, and returns an [UndeliveredError] for what
// it cannot. No goroutine is left behind, except one that is caught in a call of
// code that is given to the Exporter (the inner exporter, a hook, the error
// handler, a queue, the MeterProvider), until that call returns.
//
// # Choosing options
//
// The defaults suit most applications. Reasons to change them:
//
//   - [WithMaxQueueBytes]: finer data after long outages, or less memory.
//   - [WithMaxExportBatchSize]: a server that refuses large requests.
//   - [WithReplicas]: large collections and a backend that is far away.
//   - [WithMerging]: many small collections, and a backend that takes several
//     points of a series in one request.
//   - [WithMinInterval], [WithMaxAge]: a backend that refuses requests that are too
//     close, or data that is too old.
//   - [WithQueue]: data that must outlive the process.
//   - [WithName], [WithErrorHandler], [WithOnDrop], [WithMeterProvider]: to know
//     what happens.
//
// # Performance
//
// Export copies, with memory that it uses again: while delivery keeps up it
// allocates nothing for each point or metric, and takes two to three times as long
// as moving the same bytes. A backlog takes new memory, and gives it back
// afterwards. On a queue that is nearly full, Coalesce joins on a goroutine beside
// the Exports, and one for which there is no room yet waits for it. Nothing is
// locked while anything waits for the network or is joined. An Exporter that has
// nothing to do is one goroutine that waits.
//
// # Its own metrics
//
// With [WithMeterProvider], an Exporter measures itself. Each metric has the
// attributes otel.component.name, which tells the exporters of a process apart
// (see [Status]), and otel.component.type. Those named otel.sdk are as the
// semantic conventions of OpenTelemetry define them, where being exported begins
// when a collection is taken from the queue.
//
//	otel.sdk.exporter.metric_data_point.inflight  data points in flight
//	otel.sdk.exporter.metric_data_point.exported  those whose delivery has ended, with error.type if it failed
//	otel.sdk.exporter.operation.duration          from the first attempt of a batch to the end of the last, s
//	asyncmetric.queue.size                        data points in the queue, in flight included
//	asyncmetric.queue.capacity                    how many may wait; only with a bound in data points
//	asyncmetric.queue.usage                       bytes that count against the limit; only if the queue knows, By
//	asyncmetric.queue.limit                       how many bytes may wait; only with a bound in bytes, By
//	asyncmetric.queue.oldest_age                  how long the oldest collection has been queued, s
//	asyncmetric.data_points.dropped               by reason, see [DropReason]
//	asyncmetric.data_points.coalesced             became part of a later point on overflow
//	asyncmetric.data_points.refused               those for which Export returned an error
//	asyncmetric.exemplars.dropped                 exemplars that the queue left out, short of memory
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
