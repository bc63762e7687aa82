// Package batch counts, copies, splits and joins collections of metric data.
//
// A collection is what a reader hands to an exporter: one
// [metricdata.ResourceMetrics]. The contract of the SDK allows the reader to
// reuse it as soon as Export returns, so whoever keeps it needs a copy
// ([Copy]), and backends limit what they take in one request, so a large one
// has to go out in parts ([Split]). Several can go out as one, with all their
// data points ([Merge]) or, where memory is short, with what these amount to
// ([Coalesce]).
//
// All operations know the nine kinds of aggregation through one table, in
// kinds.go. An aggregation of an unknown kind, which a later release of the
// SDK may bring, is never dropped: it counts as one data point and passes
// through whole, without a copy, because nothing is known of its insides;
// [Unknown] finds it, for a report.
package batch
