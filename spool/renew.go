package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// freshSuffix is behind the name of a file that is made to replace the one there.
const freshSuffix = ".new"

// maxFreePages is how many free pages a file without records may have: 16 MB,
// of 4 kB each. bbolt writes the list of them in every transaction.
var maxFreePages = 1 << 12

// renewalPause is how many chances to replace a file are passed over after one
// has failed.
const renewalPause = 1000

// renew begins a new file where that at hand has no records and is large: a
// backlog costs nothing any more once it has been delivered. Where that is not
// possible, as Windows does not rename a file that is open, the old one is as
// good as before.
func (q *Queue) renew() {
	if q.store == nil || !q.empty() || q.store.freePages() <= maxFreePages {
		return
	}
	if q.pause > 0 {
		q.pause--
		return
	}
	fresh, err := q.store.successor(q.path(), q.ledger.position)
	if err != nil {
		q.pause = renewalPause
		return
	}
	_ = q.store.close() // it has neither records nor a name
	q.store = fresh
}

// empty reports whether there is nothing in the file.
func (q *Queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ledger.stats.Collections == 0 && len(q.leftovers) == 0 && q.newer == 0
}

func (s *store) freePages() int {
	stats := s.db.Stats()
	return stats.FreePageN + stats.PendingPageN
}

// successor makes a file without records that goes on behind a position, and
// gives it the name of this one. On an error this one still has it.
func (s *store) successor(path string, position uint64) (*store, error) {
	if err := removeFresh(path); err != nil {
		return nil, err
	}
	fresh, err := openStore(path+freshSuffix, s.db.NoSync)
	if err != nil {
		return nil, errors.Join(err, removeFresh(path))
	}
	err = fresh.apply(&change{last: position})
	atStep(stepFresh)
	if err == nil {
		err = os.Rename(path+freshSuffix, path)
	}
	if err != nil {
		return nil, errors.Join(err, fresh.close(), removeFresh(path))
	}
	atStep(stepRenamed)
	fresh.unnamed = !s.db.NoSync
	return fresh, nil
}

// removeFresh removes what a process left that ended while it made a file.
func removeFresh(path string) error {
	if err := os.Remove(path + freshSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", filepath.Base(path+freshSuffix), err)
	}
	return nil
}
