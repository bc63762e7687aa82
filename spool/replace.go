package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/asyncmetric/asyncmetric/queue"
)

// asideStamp is the time in the name of a damaged file.
const asideStamp = "20060102T150405.000000000Z"

// setAside gives a damaged file another name.
func (q *Queue) setAside(cause error) (aside string, err error) {
	path := q.path()
	aside = path + ".damaged-" + time.Now().UTC().Format(asideStamp)
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s cannot be used (%w) and not be set aside: %w", path, cause, err)
	}
	return aside, syncFolder(filepath.Dir(path))
}

// replaceStore is called by the writer when the file turns out to be damaged.
// It sets the file aside, drops what was in it, and begins a new one. What is
// in flight, or has been read, is still delivered.
func (q *Queue) replaceStore(cause error, p *plan) {
	q.store.abandon()
	q.store = nil
	q.damaged = cause
	q.newer = 0
	q.mu.Lock()
	q.loseStored(cause)
	p.reduce()
	q.mu.Unlock()
	if err := q.ensureStore(); err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.noteFailure(err)
	}
}

// loseStored drops all entries whose data is nowhere but in the file. The
// caller holds the lock.
func (q *Queue) loseStored(cause error) {
	lost := queue.Drop{Reason: queue.ReasonCorrupt, Err: q.inFolder(cause)}
	for e := q.ledger.first; e != nil; {
		next := e.next
		if (e.state == waiting || e.state == claimed || e.state == dropping) && e.collection == nil {
			if lost.Points == 0 {
				lost.Position = e.position
			}
			lost.Points += e.points
			q.ledger.end(e, queue.Outcome{Dropped: e.points})
		}
		e = next
	}
	q.leftovers = nil
	if lost.Points > 0 {
		q.noteDrop(lost)
	}
}

// ensureStore makes sure that there is a file to work with.
func (q *Queue) ensureStore() error {
	if q.store != nil {
		return nil
	}
	if q.damaged != nil {
		aside, err := q.setAside(q.damaged)
		if err != nil {
			return err
		}
		q.noteReplaced(aside, q.damaged)
		q.damaged = nil
	}
	s, err := openStore(q.path(), q.config.noSync)
	if err != nil {
		return fmt.Errorf("beginning a new file: %w", err)
	}
	q.store = s
	return nil
}

func (q *Queue) noteReplaced(aside string, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.noteFailure(fmt.Errorf("%s was set aside as %s and a new one begun: %w", q.path(), aside, cause))
}
