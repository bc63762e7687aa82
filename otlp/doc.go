// Package otlp turns collections of metric data into bytes and back.
//
// The bytes are those of the OpenTelemetry protocol: [Append] writes one
// [metricdata.ResourceMetrics] as a protobuf message
// opentelemetry.proto.metrics.v1.ResourceMetrics of OTLP 1.x, the same message
// that the OTLP exporters of OpenTelemetry send, and [Decode] reads it. So a
// collection that was written to a disk or a message broker can be read by
// other tools, too: a field number 1 and the length in front of it make the
// record a MetricsData, which is what the Collector has in files, and an
// ExportMetricsServiceRequest, which is what it takes over the network.
//
// # What does not come back as it was
//
// Nothing is lost silently that OTLP can express. It does not tell apart
// everything that metricdata does, so a collection comes back with the same
// meaning, and these differences:
//
//   - A histogram or exponential histogram of int64 comes back as one of
//     float64: OTLP has no other. Sum, minimum, maximum and exemplars are
//     rounded to float64, which matters beyond 2^53.
//   - A Gauge[float64] or Sum[float64] without data points comes back as one of
//     int64: in OTLP, only the points tell.
//   - Empty slices come back nil, a nil resource empty.
//   - Times come back in UTC and without a monotonic clock reading. In OTLP 0
//     means that there is no time, so the zero [time.Time] comes back as such,
//     and so does the very beginning of 1970.
//   - An attribute of type [attribute.SLICE] whose elements are all bools,
//     integers, floats or strings comes back as a [attribute.BOOLSLICE] and so
//     on: for OTLP both are arrays. An empty list of any type comes back as an
//     empty SLICE.
//   - The value of an attribute that is a string but not valid UTF-8 comes back
//     as bytes: the specification of OpenTelemetry wants it to be written so.
//   - A metric without data, which the OTLP exporters refuse, stays one.
//
// These cannot be written at all; Append returns an [*AppendError]: an
// aggregation of another type than the nine of metricdata, a temporality that
// does not exist, a time before 1970 or after 2554, an attribute with lists
// nested deeper than [MaxDepth], a name or any other string but the value of an
// attribute that is not valid UTF-8.
//
// # What other programs may write
//
// OTLP has some things that metricdata has not. Decode leaves out metadata of a
// metric, flags, counts of dropped attributes and entities of a resource, and
// all fields that it does not know, which is how later releases of OTLP stay
// readable. A histogram without a sum gets the sum 0. What would be wrong
// rather than missing is an error, a [*DecodeError] that says where: a data
// point with the flag for no recorded value, one without a value, a temporality
// that is not known, an integer beside floats that float64 cannot hold. If a
// metric has integers and floats, it becomes one of floats. Of attributes with
// the same key, the last one counts.
//
// # Concurrency
//
// The package has no state; all of it may be used from several goroutines.
package otlp
