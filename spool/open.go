package spool

import (
	"errors"
	"fmt"
	"time"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// open opens the file and enters what is in it. A damaged one is set aside.
func (q *Queue) open() error {
	err := q.openAndLoad()
	if !errors.Is(err, errDamaged) {
		return err
	}
	aside, asideErr := q.setAside(err)
	if asideErr != nil {
		return asideErr
	}
	q.noteReplaced(aside, err)
	q.ledger = newLedger()
	return q.openAndLoad()
}

func (q *Queue) openAndLoad() error {
	s, err := openStore(q.path(), q.config.noSync)
	if err != nil {
		return err
	}
	_ = removeFresh(q.path()) // whoever needs the name says if this failed
	err = q.find(s)
	switch {
	case errors.Is(err, errDamaged):
		s.abandon()
	case err != nil:
		err = errors.Join(err, s.close())
	default:
		q.store = s
	}
	return err
}

// maxDoubts is how many records that are of a newer release, as the index says,
// are read to make sure of it. Damage is not that frequent, and Open has to be
// fast after a downgrade, too.
const maxDoubts = 1000

// find enters what the index has.
func (q *Queue) find(s *store) error {
	now := time.Now()
	newer, bad := 0, change{}
	var badErr error
	position, err := s.load(func(position uint64, b []byte) error {
		x, err := decodeIndex(position, b)
		if err != nil && (newer < maxDoubts || !errors.Is(err, frame.ErrVersion)) {
			x, err = s.reindex(position, now)
		}
		switch {
		case errors.Is(err, frame.ErrVersion):
			newer++
			return nil
		case errors.Is(err, errDamaged):
			return err
		case err != nil:
			bad.deletes = append(bad.deletes, position)
			badErr = fmt.Errorf("position %d: %w", position, err)
			return nil
		}
		// The clock may have been set back since.
		x.oldest, x.newest = earlier(x.oldest, now), earlier(x.newest, now)
		q.ledger.find(&entry{queue: q, index: x, position: position})
		return nil
	})
	if err != nil {
		return err
	}
	q.ledger.position = position
	q.newer = newer
	if newer > 0 {
		q.noteFailure(fmt.Errorf("%d records are left in place: %w", newer, frame.ErrVersion))
	}
	if badErr == nil {
		return nil
	}
	q.noteFailure(fmt.Errorf("%d records were dropped, as neither they nor the index could be read: %w", len(bad.deletes), badErr))
	return s.apply(&bad)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// reindex returns the index of a record, whose own cannot be read. When it was
// accepted is not known then. The error wraps frame.ErrVersion if the record
// says that it is of a newer release.
func (s *store) reindex(position uint64, now time.Time) (index, error) {
	record, err := s.read(position, anySize)
	if err != nil {
		return index{}, err
	}
	rm, err := frame.DecodeCollection(record, frame.MaxSize)
	if err != nil {
		return index{}, err
	}
	resource, err := hashResource(rm)
	return index{
		points:   batch.Points(rm),
		size:     int64(len(record)),
		oldest:   now,
		newest:   now,
		parts:    1,
		resource: resource,
	}, err
}
