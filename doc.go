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
// [WithMaxQueueSize] says, and one collection is being delivered. When the queue
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
// exporter, until that call returns.
package asyncmetric
