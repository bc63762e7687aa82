// Package jetstream keeps collections in a replicated stream of NATS JetStream
// until they have been delivered: applications hand them over and are done,
// relays elsewhere deliver them.
//
//	application ─► memory or spool ─► jetstream.Exporter ─► stream ─► jetstream.Queue ─► backend
//	               (asyncmetric.New)                                  (asyncmetric.New, in a relay)
//
// An application that must not suffer when the stream is away puts the
// [Exporter] behind a queue of its own, so that Export never waits for the
// network:
//
//	handover, err := jetstream.NewExporter(js)
//	...
//	exporter, err := asyncmetric.New(handover) // or with asyncmetric.WithQueue(spool)
//
// A relay is an exporter whose Export nobody calls. The command cmd/relay is
// one:
//
//	q, err := jetstream.Open(ctx, js)
//	...
//	relay, err := asyncmetric.New(inner, asyncmetric.WithQueue(q))
//
// One process may also do both: what it exports goes into the stream, and it
// delivers what is its share. With [PublishOnly] a queue only hands over.
//
// # What it promises
//
// At least once: when Put or Export has returned nil, the stream has
// acknowledged the collection, with at least as many replicas as [WithReplicas]
// says, and it stays there until a relay has delivered it. A message is
// acknowledged by a relay when its end has been told to the queue, and the
// server confirms that. What a server has stored it writes to its disk in a while
// (sync_interval in its configuration, two minutes unless it says otherwise), so
// a stream with one replica survives the end of the process, not that of the
// machine.
//
// A publication that is repeated, by Put itself or by a caller that calls Put or
// Export again with the same collection after an error, has the same message id:
// within the stream's window for duplicates, two minutes or [WithMaxAge] if that
// is less, it is stored once. The only server of a stream forgets the ids of what
// has been delivered when it is restarted.
//
// Order: collections of one resource go to one partition, chosen by a hash of
// the resource, and those of one Queue or Exporter come out in the order in
// which they were put in. A partition is delivered by one relay at a time: the
// server pins its consumer to one client. So the points of each series stay in
// order.
//
// A takeover: when a relay dies, the others hear no more of it, divide its
// partitions among them, and go on after about the time of
// [WithTakeover]. The successor hands out nothing before the server has given
// it everything that its predecessor had and did not acknowledge, and then
// delivers in the order of the stream. What the predecessor had in flight, one
// collection or with merging one batch for each relay, may so arrive twice. A
// relay that still lives but is cut off gives up what it has not begun to
// deliver before its time runs out; the one delivery that it has begun it
// cannot take back: if the backend gets that later than what the successor
// sends, it sees an older point after a newer one. No queue can prevent that; a
// backend can, by refusing it.
//
// A server that leads a consumer and dies takes with it what it has just
// written: what it had given to a relay in its last moments may be given to
// another one, too, and so arrive twice.
//
// Not promised: to survive the loss of a majority of the stream's replicas, and
// exactly once.
//
// # Relays and partitions
//
// The messages of partition 2 have the subject asyncmetric.part.2, and are
// delivered through the durable pull consumer relay-2. The number of partitions
// is a property of the stream, kept in its metadata; a process that opens it
// without [WithPartitions] uses the one that it has. Relays announce themselves
// on the subject asyncmetric.relays, and each takes its share of the partitions.
// That is for balance: if they do not hear each other, the pinned consumers still
// keep two from delivering one partition. But each process that announces itself
// has a share, also a relay that delivers nothing since its backend is away, so
// only relays should be allowed to. A relay delivers one collection at a time,
// the oldest that it has: relays add throughput, up to the number of partitions,
// and partitions alone do not. One process with fewer resources than partitions
// does not use them all. Merging joins what is next to each other in the order in
// which a relay takes it, and of the same resource: in the stream of a fleet,
// seldom.
//
// A server older than 2.11 has no pinned clients. The consumers then have one
// message in flight, which keeps the order as well, but is slower, and merging
// finds nothing to merge.
//
// A relay that stops gives its partitions to the others within half a second, but
// for the one from which a delivery is under way: as long as that is repeated.
//
// # Accounting
//
// The stream belongs to all, and each Queue accounts for what it put and what
// it took:
//
//	Accepted == Exported + Dropped + Coalesced + Queued
//
// holds at any instant. Accepted counts what this Queue has put, and what others
// put when this Queue takes it. The Queue does not count what it finds in the
// stream when it is opened; [Queue.Backlog] returns what the whole stream has.
// What this Queue has put or taken, and another relay has delivered, counts as
// Exported here, within about a second; whether that relay had to drop it is in
// its own counters. A position is the sequence number of the message in the
// stream. First of the Stats is about what this Queue has put or taken, Last about
// what it has put.
//
// So ForceFlush waits until everything that this Queue has put has ended,
// whichever relay delivers it; in a relay that puts nothing it returns at once.
// With PublishOnly, and with the Exporter, what the stream has acknowledged has
// ended: Shutdown has nothing undelivered.
//
// An entry that is returned is the next of its partition that Take hands out. If
// its time was over before, the server may have given it to another relay: it is
// in the stream then.
//
// After Seal, Take hands out entries as long as something that this Queue has put
// or returned waits: a relay does not empty the stream of a fleet before it shuts
// down. Close gives back to the stream what waits. What is in flight stays this
// relay's until it is settled, which acknowledges it, or returned, which gives it
// back, or until the time of [WithTakeover] is over.
//
// # When it is full
//
// The stream is bounded in bytes ([WithMaxBytes]), for all together. What is in
// flight counts as well, unlike in the contract of package queue, because the
// server does not tell it from what waits, and no collection may be larger than
// the bound. Stats has no Bytes, because others put into the stream, too.
//
// Under [queue.DropNewest], the default, Put and Export return
// [queue.ErrFull], and the Queue counts nothing of it; an exporter in front of
// an Exporter tries again, and its queue does what its policy says. Under
// [queue.DropOldest] the server discards the oldest. A Queue that delivers counts what it has put and was discarded. Of
// others, each message says how many points its producer had stored before, so
// the relay that delivers the next one counts what is missing as dropped, with
// [queue.ReasonOverflow], also where it was too old. If a takeover falls in
// between, it is not counted. A Put asks the server then what has been discarded,
// if something that this Queue has put waits.
// [queue.Block] and [queue.Coalesce] are refused: use them in front.
//
// A collection that is larger than the server's maximum payload, or has more than
// 8 MiB of OTLP, is split before it is published. If that fails in between, its
// first parts are in the stream. Put has accepted the collection then: it drops
// the rest, with [queue.ReasonOverflow] where the stream is full, and returns nil.
// Export returns an error, and another call with the same collection adds only
// what is missing. A relay refuses more than 8 MiB: a message can be small and
// hold very much.
//
// # When something is wrong
//
// While no server or no leader answers, Put and Export try again until their
// context ends; the error wraps that of the context. If the user may not
// publish, it is [ErrPermission], at once; that takes the server's word for it,
// which nats.Conn.LastError has. If the stream has been deleted it is made
// again, unless [WithExistingStream] was given, then it is [ErrNoStream]; what
// the Queue had put and was not delivered is counted as dropped, wrapping
// [ErrLost], with [queue.ReasonCorrupt], also where a server has lost what it
// had acknowledged. A stream that was made with other settings than the
// options say is [ErrMismatch].
//
// A message that is not a record, or one of a newer release, is reported,
// published to the subject asyncmetric.dead with the reason in a header, in the
// stream ASYNCMETRIC_DEAD, and acknowledged; delivery goes on. It is cut short if
// it is as large as a message may be. If it cannot be published, it stays where it
// is and is tried again; a partition with 64 of them waits until they are gone, and
// so does ForceFlush of a Queue that has put something behind one that another
// relay has.
//
// If the end of a collection cannot be acknowledged, Settle returns the error,
// and nothing more of that partition is handed out before the server has given
// it again.
//
// # Permissions
//
// Whoever may publish to a partition can have a relay deliver anything, with any
// resource. An application needs to publish to asyncmetric.part.* and
// $JS.API.STREAM.INFO.ASYNCMETRIC, and to subscribe to _INBOX.>. Unless
// [WithExistingStream] is given, it may have to publish to
// $JS.API.STREAM.CREATE.ASYNCMETRIC, too. A relay needs to publish to
// $JS.API.STREAM.*.ASYNCMETRIC and $JS.API.STREAM.*.ASYNCMETRIC_DEAD,
// $JS.API.CONSUMER.>, $JS.ACK.ASYNCMETRIC.>, asyncmetric.dead and
// asyncmetric.relays, and to subscribe to _INBOX.> and asyncmetric.relays.
//
// # What it costs
//
// Each Put is one round trip to the leader of the stream, and as many replicas
// as make a majority write it. Each end is one round trip to the leader of the
// consumer. A relay has at most 64 messages of a partition in memory, as they came,
// and asks for more while those of all partitions together are below 64 MiB, by the
// size of the largest so far; they are decoded when they are next. Where nothing
// comes it asks twice a second for each partition. A record is a collection as in package spool, OTLP in a frame of
// package frame, some 5 bytes for each point of a counter; the message around it
// has some 135 bytes.
package jetstream
