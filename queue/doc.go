// Package queue holds the collections that wait for delivery.
//
// [Queue] is the contract between the exporter and what keeps its collections.
// The exporter starts the queue and puts collections in. It takes out entries,
// and settles each one as exported or dropped, or returns it. [NewMemory] makes
// the queue that the exporter uses by default. Others keep collections on disk or
// with a message broker. Package queuetest holds the tests that every
// implementation has to pass.
//
// What a full queue does is its [Overflow] policy. Other systems answer that
// question in many ways: the log SDK of OpenTelemetry drops the oldest, the
// trace SDK drops the newest or blocks, Prometheus makes its producer back
// off, VictoriaMetrics spills to disk. There is no right answer for all, so
// there is a choice.
package queue
