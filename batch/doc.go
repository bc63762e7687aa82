// Package batch counts, copies, splits and joins collections of metric data.
//
// A collection is what the SDK hands to an exporter: one
// [metricdata.ResourceMetrics]. The SDK may reuse it as soon as Export returns,
// so an exporter that keeps it needs a copy ([Copy]). A backend limits the size
// of a request, so a large collection has to go out in parts ([Split]). Several
// collections can go out as one, with all their data points ([Merge]), or, where
// memory is short, with points joined to fewer ([Coalesce]).
//
// All operations know the nine kinds of aggregation through one switch, in
// kinds.go. A later release of the SDK may bring another kind. This package
// never drops such an aggregation: it counts as one data point and is passed on
// whole, without a copy. [Unknown] finds it, for a report.
//
// No function of this package returns an error. None changes the collections
// that it reads, so several may read one collection concurrently.
package batch
