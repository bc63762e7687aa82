package spool

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/asyncmetric/asyncmetric/queue"
)

// fileName is the name of the file in the folder.
const fileName = "spool.db"

// Queue is a [queue.Queue] on disk. Make one with [Open]; it must be closed,
// which the exporter that it is given to does at Shutdown. All methods are safe
// for concurrent use.
//
// One goroutine, the writer, owns the file: everything that reads or writes it
// is a call that waits in this struct until the writer comes to it. What waits
// together is written in one transaction, with one wait for the disk. Open
// starts the writer and Close waits for it. Nothing is read, written, encoded
// or waited for, and no function of the observer called, with the lock held.
type Queue struct {
	dir    string
	config config
	ready  chan struct{} // capacity 1
	taking chan struct{} // capacity 1: holds a value during Take and Close

	wake  chan struct{} // capacity 1: tells the writer that there is work
	ended chan struct{} // closed when the writer has ended
	done  chan struct{} // closed when Close has ended

	late sync.Mutex // held while an end is recorded after Close

	mu        sync.Mutex
	ledger    ledger
	line      []*putOp // calls of Put that have not begun, first come first served
	begun     int      // calls of Put that the writer is at
	full      bool     // the first in line has been found not to fit
	nextRead  *readOp
	settleOps []*settleOp
	leftovers []uint64      // positions that have ended, but could not be deleted yet
	turn      chan struct{} // closed, and made anew, when entries are let go
	takeWaits bool          // for the oldest entry
	excess    int64         // how much more than the bound may wait, since it was found so
	sealed    bool
	closing   bool // Close has been called
	stopping  bool // the writer must end
	stopped   bool // the writer has ended, or will not look again

	notices queue.Notices

	// Owned by the writer, and by Close when it has ended.
	store   *store // nil if the last one was damaged and there is no new one yet
	damaged error  // why the file has to be set aside, if that could not be done yet
	newer   int    // records of a newer release, that are left in place
	pause   int    // how many chances to replace the file are passed over
}

var _ queue.Queue = (*Queue)(nil)

// Open opens the queue in a folder, and makes folder and queue if they are not
// there. It reads what the file says of its records, not the records, so that
// it takes a fraction of a second also for a large one.
//
// It returns an error that names the folder if the folder cannot be used: it
// cannot be made, read or written, others may write to it, another process has
// it open (after a second), or a newer release wrote it. A damaged file is no
// such error: it is set aside beside the new one, and the Failed of the
// observer gets an error that names both.
func Open(dir string, opts ...Option) (*Queue, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		dir:    dir,
		config: c,
		ready:  make(chan struct{}, 1),
		taking: make(chan struct{}, 1),
		wake:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
		done:   make(chan struct{}),
		turn:   make(chan struct{}),
		ledger: newLedger(),
	}
	if err := prepareFolder(dir); err != nil {
		return nil, q.inFolder(err)
	}
	if err := q.open(); err != nil {
		return nil, q.inFolder(err)
	}
	q.excess = max(0, q.ledger.backlog.bytes-c.maxBytes)
	go q.run()
	return q, nil
}

func (q *Queue) path() string { return filepath.Join(q.dir, fileName) }

// Start implements [queue.Queue]. The observer hears now what went wrong in
// Open.
func (q *Queue) Start(o queue.Observer) error {
	if err := q.start(o); err != nil {
		return err
	}
	q.tell()
	return nil
}

func (q *Queue) start(o queue.Observer) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.notices.Started():
		return queue.ErrInUse
	case q.closing:
		return queue.ErrClosed
	}
	q.notices.Start(o)
	return nil
}

// noteDrop and noteFailure note what the next call that ends tells the
// observer. The writer does not tell itself, because the observer may call Put.
// The signal makes the exporter call Take, in case no other call ends soon. The
// caller holds the lock.
func (q *Queue) noteDrop(d queue.Drop) {
	q.notices.Dropped(d)
	q.signal()
}

func (q *Queue) noteFailure(err error) {
	q.notices.Failed(q.inFolder(err))
	q.signal()
}

// tell tells the observer what it has not heard yet. The caller does not hold
// the lock.
func (q *Queue) tell() {
	if q.notices.Tell(&q.mu) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.signal() // First of Stats may have moved
	}
}

// inFolder says of an error which folder it concerns.
func (q *Queue) inFolder(err error) error { return fmt.Errorf("spool: folder %s: %w", q.dir, err) }

// Ready implements [queue.Queue].
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// Info implements [queue.Queue]: what is on disk outlives the process.
func (q *Queue) Info() queue.Info {
	return queue.Info{Durable: true, MaxBytes: q.config.maxBytes, CountsBytes: true, Overflow: q.config.overflow}
}

// Stats implements [queue.Queue]. What Open found counts as accepted. Records
// that a newer release wrote are not in the figures: they do not end in this
// process. Bytes is what counts against [WithMaxBytes]: unlike the method Bytes,
// it leaves out what is in flight.
func (q *Queue) Stats() queue.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.ledger.snapshot()
	s.Bytes = q.ledger.backlog.bytes
	s.First = q.notices.First(s.First)
	return s
}

// Bytes returns the size of the records that have not ended, those in flight
// included.
func (q *Queue) Bytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ledger.stored
}

// Seal implements [queue.Queue].
func (q *Queue) Seal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sealed = true
	for _, p := range q.line {
		p.result <- queue.ErrClosed
	}
	q.line, q.full = nil, false
	q.signal()
}

// Close implements [queue.Queue]. It waits for what is being written, then
// closes the file, which keeps what waits and what is in flight. An entry in
// flight that is settled later opens the file once more. Concurrent calls wait
// for the same end.
func (q *Queue) Close() error {
	q.Seal()
	if !q.beginClosing() {
		<-q.done
		return nil
	}
	defer q.tell()
	defer close(q.done)
	q.taking <- struct{}{}
	defer func() { <-q.taking }()
	q.mu.Lock()
	q.stopping = true
	q.nudge()
	q.mu.Unlock()
	<-q.ended

	q.mu.Lock()
	q.signal()
	q.mu.Unlock()
	if q.store == nil {
		return nil
	}
	if err := q.store.close(); err != nil {
		return fmt.Errorf("spool: closing %s: %w", q.path(), err)
	}
	return nil
}

func (q *Queue) beginClosing() (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first = !q.closing
	q.closing = true
	return first
}

// signal puts a signal into Ready. The caller holds the lock.
func (q *Queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default: // the signal that is there already says the same
	}
}

// nudge tells the writer that there is work. The caller holds the lock.
func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
