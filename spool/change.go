package spool

import (
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

// The steps of a change, in order.
const (
	stepBegun     = iota // nothing has been changed
	stepDeleted          // in the transaction
	stepWritten          // in the transaction
	stepCommitted        // it is on the disk, and nobody knows
	steps
)

// atStep is called at each step. Tests end the process there.
var atStep = func(step int) {}

// apply makes a change. On success it is on the disk, on failure nothing has
// changed, unless the error wraps errUnsynced.
func (s *store) apply(c *change) error {
	id := 0
	err := contain(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
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
	// If the last sync of a transaction fails, it has been written all the same.
	viewErr := s.view(func(tx *bbolt.Tx) error {
		if tx.ID() >= id {
			err = fmt.Errorf("%w: %w", errUnsynced, err)
		}
		return nil
	})
	if viewErr != nil {
		return viewErr
	}
	return err
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
	return contain(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			x, err := decodeIndex(e.position, tx.Bucket(bucketIndex).Get(key(e.position)))
			if err != nil || x.size != e.size || x.points != e.points || x.parts != e.parts {
				return nil // another file
			}
			c := change{deletes: []uint64{e.position}}
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
