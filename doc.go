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
// With [WithReplicas], batches go out in parallel.
//
//	SDK instruments -> PeriodicReader -> Exporter -> queue -> delivery -> inner exporter -> backend
//	                   (collects)        (copies)             (orders, splits, retries)
//
// Use it around the exporter that you have:
//
//	inner, err := otlpmetrichttp.New(ctx)
//	...
//	exporter, err := asyncmetric.New(inner)
//	...
//	reader := metric.NewPeriodicReader(exporter)
//
// # Guarantees
//
// Export does not wait for the inner exporter, and what it keeps shares
// nothing with its argument. Memory is bounded: so many data points wait as
// [WithMaxQueueSize] says, and one collection, or with [WithMerging] one batch, is
// being delivered. When the queue
// is full, collections that wait are joined by default: resolution in time is
// lost, and no total; see [queue.Coalesce]. The points
// of a series are delivered in order, also after failures. Every data point
// that was accepted is exported, dropped for a reason that [WithOnDrop] gets to
// know, or still queued; [Exporter.Stats] adds up at any instant. The inner
// exporter never gets two calls at once, has a deadline for each, and may
// panic, or change what it is given.
//
// [Exporter.ForceFlush] returns when everything accepted before it has ended,
// and [Exporter.Shutdown] delivers what it can until its context ends. No
// goroutine is left behind, except one that is caught in a call of the inner
// exporter or of the MeterProvider, until that call returns.
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
// For Grafana there is a dashboard, dashboards/asyncmetric.json; without any
// backend, package statusz serves a page.
package asyncmetric
