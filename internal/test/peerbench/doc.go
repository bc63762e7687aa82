// Package peerbench measures asyncmetric beside what one would use instead of
// it, in one run and with the same data of the SDK: the exporter alone, the
// sending queue of the OpenTelemetry Collector (exporterhelper), in memory and
// on disk (filestorage), and a queue such as one writes in an afternoon.
//
// Package rival has them behind one interface, workload makes the data, backend
// takes it, measure compares and report writes docs/benchmarks.md and its plots:
//
//	GOWORK=off go -C internal/test run ./peerbench/cmd/report
//
// It is in the module internal/test, outside of go.work, so that nobody has to
// download the Collector or Prometheus to use or test the core.
package peerbench
