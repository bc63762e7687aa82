// Package deltajudge has no code, only tests: a processor of the Collector,
// deltatocumulative, judges what comes out of an outage in which the queue
// overflowed.
//
// An application counts with the real SDK, with delta temporality, and for
// itself. While the inner exporter fails, the queue overflows many times. What
// is delivered in the end goes through the package otlp to the processor, which
// adds up the points of each series. It refuses a point that is not newer than
// the one before it. So it must refuse none, and each sum must be what the
// application counted.
//
// Like the package newest, it is left out where the oldest OpenTelemetry is
// selected: the reader that exports a collection in pieces is new.
//
//	GOWORK=off go -C internal/test test ./deltajudge
package deltajudge
