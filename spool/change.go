package spool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A change is what one transaction does.
type change struct {
	deletes []uint64
	writes  []write
	last    uint64 // the position of the newest collection, if above 0
}

type write struct {
	position uint64
	frame    []byte
	index    []byte
}

// The steps of a change, in order, and of other work.
const (
	stepBegun     = iota // nothing has been changed
	stepDeleted          // in the transaction
	stepWritten          // in the transaction
	stepCommitted        // it is on the disk, and nobody knows

	// Of a new file that replaces an empty one.
	stepFresh   // it is complete
	stepRenamed // it has its name, and nobody knows
	steps
)

// atStep is called at each step. Tests end the process there.
var atStep = func(step int) {}

// update is how transactions that write are made. Tests make them fail.
var update = (*bbolt.DB).Update

// apply makes a change. On success it is on the disk, on failure nothing has
// changed, unless the error wraps errUnsynced.
func (s *store) apply(c *change) error {
	if err := errors.Join(s.syncName(), s.syncLast()); err != nil {
		return err
	}
	id := 0
	err := contain(func() error {
		return update(s.db, func(tx *bbolt.Tx) error {
			id = tx.ID()
			if err := s.guard(tx, c); err != nil {
				return err
			}
			return c.apply(tx)
		})
	})
	atStep(stepCommitted)
	if errors.Is(err, bolterrors.ErrIncompatibleValue) {
		err = fmt.Errorf("%w: %w", errDamaged, err) // a bucket where a record should be
	}
	if err == nil || errors.Is(err, errDamaged) {
		return err
	}
	written := false
	viewErr := s.view(func(tx *bbolt.Tx) error {
		written = id > 0 && tx.ID() >= id
		return nil
	})
	switch {
	case viewErr != nil:
		return viewErr
	case !written:
		return err
	}
	// Only the last sync failed, that of the page that makes the rest valid.
	s.unconfirmed = id
	if confirmErr := s.syncLast(); confirmErr != nil {
		return fmt.Errorf("%w: %w", errUnsynced, errors.Join(err, confirmErr))
	}
	return nil
}

// syncLast makes the last transaction durable, unless it is. Another one must
// not begin before: it would write over pages that the one before the last
// needs, which is the valid one as long as the page of the last is not on the
// disk.
func (s *store) syncLast() error {
	if s.unconfirmed == 0 {
		return nil
	}
	if err := confirm(s, s.unconfirmed); err != nil {
		return err
	}
	s.unconfirmed = 0
	return nil
}

// confirm is rewriteMeta, but in tests.
var confirm = (*store).rewriteMeta

// rewriteMeta writes the page once more that a transaction wrote last.
func (s *store) rewriteMeta(transaction int) error {
	page := make([]byte, s.db.Info().PageSize)
	at := int64(transaction%2) * int64(len(page))
	if _, err := s.file.ReadAt(page, at); err != nil {
		return err
	}
	if got := binary.NativeEndian.Uint64(page[metaTransaction:]); got != uint64(transaction) {
		return fmt.Errorf("its last page is of transaction %d, should be of %d", got, transaction)
	}
	if _, err := s.file.WriteAt(page, at); err != nil {
		return err
	}
	return s.file.Sync()
}

// guard checks the pages that a change will touch.
func (s *store) guard(tx *bbolt.Tx, c *change) error {
	v := s.newVerifier(tx)
	for _, name := range [][]byte{bucketRecords, bucketIndex} {
		root := uint64(tx.Bucket(name).Root())
		for _, position := range c.deletes {
			if err := v.guard(root, position); err != nil {
				return err
			}
		}
		for i, w := range c.writes {
			if i > 0 && i < len(c.writes)-1 && w.position > c.writes[0].position {
				continue // new ones are next to each other
			}
			if err := v.guard(root, w.position); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteSame deletes the record of an entry, if it is still the same.
func (s *store) deleteSame(e *entry) error {
	c := change{deletes: []uint64{e.position}}
	return contain(func() error {
		return update(s.db, func(tx *bbolt.Tx) error {
			if err := s.guard(tx, &c); err != nil {
				return err
			}
			b := tx.Bucket(bucketIndex).Get(key(e.position))
			if b == nil {
				return nil // another file
			}
			x, err := decodeIndex(e.position, b)
			if err != nil {
				return err
			}
			if x.size != e.size || x.points != e.points {
				return nil // another file, too
			}
			return c.apply(tx)
		})
	})
}

func (c *change) apply(tx *bbolt.Tx) error {
	records, index := tx.Bucket(bucketRecords), tx.Bucket(bucketIndex)
	atStep(stepBegun)
	for _, position := range c.deletes {
		if err := errors.Join(deleteRecord(records, position), index.Delete(key(position))); err != nil {
			return err
		}
	}
	atStep(stepDeleted)
	for _, w := range c.writes {
		if err := errors.Join(putRecord(records, w.position, w.frame), index.Put(key(w.position), w.index)); err != nil {
			return err
		}
	}
	atStep(stepWritten)
	if c.last > 0 {
		return records.SetSequence(c.last)
	}
	return nil
}

// Each record has a bucket of its own, as bbolt puts at least two values into a
// page: whoever wrote or deleted one would write another as well, and could not
// delete anything where the disk is full.

func getRecord(records *bbolt.Bucket, position uint64) []byte {
	if b := records.Bucket(key(position)); b != nil {
		return b.Get(keyRecord)
	}
	return nil
}

func putRecord(records *bbolt.Bucket, position uint64, record []byte) error {
	b, err := records.CreateBucketIfNotExists(key(position))
	if err != nil {
		return err
	}
	return b.Put(keyRecord, record)
}

func deleteRecord(records *bbolt.Bucket, position uint64) error {
	err := records.DeleteBucket(key(position))
	if errors.Is(err, bolterrors.ErrBucketNotFound) {
		return nil // as good as deleted
	}
	return err
}
