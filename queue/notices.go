package queue

import (
	"slices"
	"sync"
)

// An Observer hears what a queue does on its own account. Both functions are
// set. They may be called concurrently, from within any method of the queue but
// Stats, Info and Ready, and must not call the queue's Close.
type Observer struct {
	// Dropped is called for what the queue drops, once for each call of Put, Take,
	// Return or Close that made it do so. Under [Coalesce] it may be called several
	// times for a Put, which makes room in steps.
	Dropped func(Drop)
	// Failed is called for an error that no caller gets.
	Failed func(error)
}

// A Drop says that data points ended without being exported.
type Drop struct {
	// Exporter is the name of the exporter, the attribute otel.component.name of
	// its metrics. A queue leaves it empty.
	Exporter string
	// Points is the number of data points, at least 1.
	Points int
	// Reason says why, in one of the Reason constants.
	Reason DropReason
	// Err is the error behind the drop; never nil.
	Err error
	// Attempts is how many attempts were made to export them; zero if none was, or
	// if that is not known.
	Attempts int
	// Position is the position of the oldest collection concerned; zero if it
	// never had one.
	Position uint64
}

// A DropReason is why data points were dropped.
type DropReason string

// The reasons for a [Drop].
const (
	// ReasonOverflow: the queue was full.
	ReasonOverflow DropReason = "overflow"
	// ReasonPermanent: the inner exporter failed in a way that is not retried, or
	// a durable queue cannot express the data.
	ReasonPermanent DropReason = "permanent"
	// ReasonElapsed: the time for retries was used up.
	ReasonElapsed DropReason = "elapsed"
	// ReasonAge: the data was too old.
	ReasonAge DropReason = "age"
	// ReasonShutdown: Shutdown had to end before the data was delivered.
	ReasonShutdown DropReason = "shutdown"
	// ReasonCorrupt: what a durable queue had stored could not be read back.
	ReasonCorrupt DropReason = "corrupt"
)

// maxNotices is how many notices wait for Start. Beyond that, drops are added
// up for each reason, and of the errors the first ones stay.
const maxNotices = 64

// Notices are what a queue has to tell its [Observer]. They help to implement a
// [Queue]: its methods note under the lock of the queue what they have done, and
// call Tell when they have released it. The lock of the queue protects all
// methods but Tell. The zero value is ready for use.
type Notices struct {
	observer *Observer // nil until Start
	list     []*notice // in order; those that are being told included
}

// A notice is a drop, or else an error.
type notice struct {
	drop    Drop
	err     error
	telling bool // a call of Tell is at it
}

// Start sets the observer. The caller calls Tell afterwards.
func (n *Notices) Start(o Observer) { n.observer = &o }

// Started reports whether Start has been called.
func (n *Notices) Started() bool { return n.observer != nil }

// Dropped notes a drop. Drops by overflow that follow each other are one notice,
// until a call tells it.
func (n *Notices) Dropped(d Drop) {
	if last := len(n.list) - 1; last >= 0 && d.Reason == ReasonOverflow && n.list[last].isOverflow() {
		n.list[last].add(d)
		return
	}
	if !n.Started() && len(n.list) >= maxNotices {
		for _, earlier := range n.list {
			if earlier.err == nil && earlier.drop.Reason == d.Reason {
				earlier.add(d)
				return
			}
		}
	}
	n.list = append(n.list, &notice{drop: d})
}

// add adds a drop of the same reason.
func (n *notice) add(d Drop) {
	n.drop.Points += d.Points
	if d.Position != 0 && (n.drop.Position == 0 || d.Position < n.drop.Position) {
		n.drop.Position = d.Position
	}
}

// isOverflow reports whether more drops by overflow may be added.
func (n *notice) isOverflow() bool {
	return n.err == nil && !n.telling && n.drop.Reason == ReasonOverflow
}

// Failed notes an error.
func (n *Notices) Failed(err error) {
	if n.Started() || len(n.list) < maxNotices {
		n.list = append(n.list, &notice{err: err})
	}
}

// First returns the lowest position of a drop that the observer has not heard
// of, or the given one if that is lower. Zero stands for none.
func (n *Notices) First(position uint64) uint64 {
	for _, notice := range n.list {
		if p := notice.drop.Position; p != 0 && (position == 0 || p < position) {
			position = p
		}
	}
	return position
}

// Tell tells the observer what it has not heard yet, and reports whether that
// was anything: First of the queue's Stats may have moved then. The caller must
// not hold mu, the lock of the queue.
func (n *Notices) Tell(mu sync.Locker) (told bool) {
	mu.Lock()
	tell := n.Claim()
	mu.Unlock()
	return tell(mu)
}

// Claim returns a function that is Tell for what the observer has not heard by
// now. No other call tells that. It is for Close, which returns when the observer
// has heard of all that it dropped.
func (n *Notices) Claim() (tell func(mu sync.Locker) (told bool)) {
	observer, notices := n.claim()
	return func(mu sync.Locker) bool {
		for _, notice := range notices {
			if notice.err != nil {
				observer.Failed(notice.err)
			} else {
				observer.Dropped(notice.drop)
			}
			n.remove(mu, notice)
		}
		return len(notices) > 0
	}
}

// claim returns the notices that no other call is at.
func (n *Notices) claim() (o *Observer, notices []*notice) {
	if !n.Started() {
		return nil, nil
	}
	for _, notice := range n.list {
		if !notice.telling {
			notice.telling = true
			notices = append(notices, notice)
		}
	}
	return n.observer, notices
}

func (n *Notices) remove(mu sync.Locker, told *notice) {
	mu.Lock()
	defer mu.Unlock()
	n.list = slices.DeleteFunc(n.list, func(notice *notice) bool { return notice == told })
}
