// Package spool keeps collections on disk until they have been delivered: a
// durable queue for the exporter of package asyncmetric.
//
//	q, err := spool.Open("/var/lib/myservice/metrics")
//	...
//	exporter, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
//
// # What it promises
//
// Export returns nil when the collection is on the disk itself: it has been
// written and synced. Nothing that was acknowledged so is lost when the process
// ends, however it does, kill -9 included, nor when the computer loses power. The
// queue deletes it when the exporter has settled it: exported or dropped. What
// the exporter returns stays. The next process goes on with the oldest, in order.
// So delivery is at least once: what was in flight at a crash, one collection or
// with merging one batch, may arrive twice.
//
// What it does not promise: to survive the loss of the disk, and to tell a
// backend that it has seen a collection before.
//
// # What it costs
//
// Each Put and each Settle is a transaction, with two waits for the disk: one
// for the data, one for the page that makes it valid. Calls that come at the
// same time share one. [WithNoSync] leaves them out, for those who would rather
// lose the last seconds in a power cut. In memory, a queue takes some 160 bytes
// for each record, and the collection that is being delivered.
//
// # When it is full
//
// What waits is bounded in bytes of records ([WithMaxBytes]), and the policy of
// [WithOverflow] says what happens beyond. By default neighbours are joined, in
// the file: resolution in time is lost, and totals are not, as long as neighbours
// have series in common. A backlog that is larger than the bound when the queue is opened, as the
// bound was lowered, is accepted; each Put then makes more room than it takes,
// but does bounded work. Under DropNewest and Block, Put has to wait until it
// has been delivered.
//
// # When something is wrong
//
// A record that cannot be read back is dropped, with [queue.ReasonCorrupt], and
// the next one is delivered. A damaged file is set aside, never deleted, under
// a name with the time, spool.db.damaged-20060102T150405.000000000Z, and a new
// one begun; the Failed of the observer gets an error that names both, and what
// was in it counts as dropped, where it is known how much that was. What was
// read before, and what is in flight, is still delivered. The structure of the
// file is checked by Open and before each change, so that damage does not crash
// the process, and a fault in the mapped file is contained.
//
// A full disk makes Put return an error, and delivery goes on. A disk that hangs
// holds up Put and Take only until their context ends. Put then says that the
// collection may still be queued, if the disk has it already. A context that had
// ended before gives the disk 100 ms. If an end cannot be recorded, Settle
// returns an error, the entry has ended all the same, and the queue tries again
// with whatever it writes next.
//
// A record that a newer release wrote is left in place, reported once and
// passed over. A file in a newer format is refused by Open.
//
// A metric that OTLP cannot express, for instance as the key of an attribute is
// not UTF-8, is dropped by Put, with [queue.ReasonPermanent].
//
// # The file
//
// The folder has one file, spool.db, of go.etcd.io/bbolt. It belongs to one
// process at a time, which holds a lock on it. It has permission 0600, the
// folder 0700. It grows to what has been queued at most and reuses its pages.
// Once a large backlog has been delivered, with more than 16 MB of pages free, a
// new file takes its place (not on Windows): bbolt writes the list of free pages
// each time, and never makes a file smaller. Until it does it is called
// spool.db.new; what a crash leaves of it the next Open removes.
//
// There are three buckets, the first two with the position as a key of 8 bytes,
// big endian:
//
//	records  a bucket whose key "r" has a frame (package frame): version, CRC-32C,
//	         and compressed with zstd an OTLP message
//	         opentelemetry.proto.metrics.v1.ResourceMetrics
//	index    data points, size, age and so on of the record, for a fast start
//	meta     the version of the format
//
// The command bbolt (go.etcd.io/bbolt/cmd/bbolt) shows what is in it:
//
//	bbolt stats spool.db
//	bbolt keys --format hex spool.db index
package spool
