// Package pipelines has no code, only examples: each a small application, whole,
// with the exporter that it needs. They run as tests, against a backend on
// loopback:
//
//	go test -v ./examples/pipelines
//
// Most of them end alike: ForceFlush makes the reader collect, so
// that Shutdown does not meet it in the middle of a collection, which the SDK
// would cancel; Shutdown delivers what is queued and closes the exporter. Each
// has its own part of the time.
package pipelines
