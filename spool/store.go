package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = time.Second

// The buckets of the file. The sequence of records is the position of the
// newest collection ever accepted.
var (
	bucketMeta    = []byte("meta")    // "format": formatVersion and its CRC-32C, 4 bytes each
	bucketRecords = []byte("records") // position: a bucket with "r": frame
	bucketIndex   = []byte("index")   // position: index
	keyFormat     = []byte("format")
	keyRecord     = []byte("r")
)

var (
	// errDamaged is wrapped by errors that say that the file as a whole is not
	// what bbolt wrote.
	errDamaged = errors.New("the file is damaged")

	// errUnsynced is wrapped by the error of a change that was made, but may not
	// survive a loss of power.
	errUnsynced = errors.New("written, but the disk did not confirm it: it may not survive a loss of power")
)

// errReplaced is wrapped by the error for a file that has been replaced while
// its lock was waited for. The one that has the name now may be free.
var errReplaced = errors.New("the file was replaced while it was opened")

// A store is the file. It belongs to one goroutine at a time.
//
// bbolt maps the file into memory and trusts it. Where the file is damaged it
// panics, or faults, and may keep its locks; a store turns that into errDamaged
// and must then be abandoned, not closed.
type store struct {
	db      *bbolt.DB
	file    *os.File // the one that db has open
	unnamed bool     // its name is not durable yet, and has to be

	unconfirmed int // the last transaction, if the disk has not confirmed it; or 0
}

// openStore opens the file, or makes it.
func openStore(path string, noSync bool) (*store, error) {
	begin := time.Now()
	s, err := tryOpenStore(path, noSync)
	for errors.Is(err, errReplaced) && time.Since(begin) < lockTimeout {
		s, err = tryOpenStore(path, noSync)
	}
	return s, err
}

func tryOpenStore(path string, noSync bool) (*store, error) {
	s := &store{unnamed: !noSync}
	err := contain(func() error { return s.open(path, noSync) })
	if errors.Is(err, errDamaged) {
		s.abandon()
	}
	if err != nil {
		return nil, err
	}
	if err := s.syncName(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// syncNames is syncFolder, but in tests.
var syncNames = syncFolder

// syncName makes the name of the file durable, unless it is: what is in a file
// is durable only if its name is.
func (s *store) syncName() error {
	if !s.unnamed {
		return nil
	}
	if err := syncNames(filepath.Dir(s.file.Name())); err != nil {
		return fmt.Errorf("making the name of the file durable: %w", err)
	}
	s.unnamed = false
	return nil
}

func (s *store) open(path string, noSync bool) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		NoSync:       noSync,
		FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
			if s.file, err = os.OpenFile(name, flag|noFollow, perm); err != nil {
				return nil, err
			}
			return s.file, secure(s.file)
		},
	})
	if err != nil {
		return explainOpen(path, err)
	}
	s.db = db
	if err := s.check(path); err != nil {
		if !errors.Is(err, errDamaged) {
			err = errors.Join(err, db.Close())
		}
		return err
	}
	return nil
}

// explainOpen tells errors that concern the content of the file from those that
// concern access to it.
func explainOpen(path string, err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("another process, or another queue of this one, uses it: %w", err)
	}
	for _, content := range []error{bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum} {
		if errors.Is(err, content) {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	if info, statErr := os.Stat(path); statErr == nil && info.Size() > 0 && info.Size() < int64(4*os.Getpagesize()) {
		return fmt.Errorf("%w: it has %d bytes: %w", errDamaged, info.Size(), err)
	}
	return err
}

// check makes what every file has, and returns an error if this is not a file
// that can be used.
func (s *store) check(path string) error {
	// Whoever had the file before may have set it aside while we waited.
	opened, err := s.file.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(opened, now) {
		return errors.Join(errReplaced, err)
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		if !s.db.NoSync {
			s.unconfirmed = tx.ID() // who wrote it may have been refused that
		}
		if size := tx.Size(); opened.Size() < size {
			return fmt.Errorf("%w: it has %d bytes of %d", errDamaged, opened.Size(), size)
		}
		return s.verify(tx)
	})
	if err != nil {
		return err
	}
	if err := s.syncLast(); err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketRecords, bucketIndex} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		format := meta.Get(keyFormat)
		if format == nil {
			return meta.Put(keyFormat, encodeFormat(formatVersion))
		}
		return checkFormat(format)
	})
}

// load calls found for each record in order, with what the index has on it,
// until that returns an error. It returns the position of the newest collection
// ever accepted.
func (s *store) load(found func(position uint64, index []byte) error) (last uint64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		last = tx.Bucket(bucketRecords).Sequence()
		before := uint64(0)
		return tx.Bucket(bucketIndex).ForEach(func(k, v []byte) error {
			if len(k) != 8 || v == nil {
				return fmt.Errorf("%w: a key of the index has %d bytes", errDamaged, len(k))
			}
			position := binary.BigEndian.Uint64(k)
			if position <= before {
				return fmt.Errorf("%w: position %d is behind %d", errDamaged, position, before)
			}
			before = position
			last = max(last, position)
			return found(position, v)
		})
	})
	return last, err
}

// read returns a copy of the record at a position. What the page says of its
// size is not trusted: it has to be the given one, unless that is anySize.
func (s *store) read(position uint64, size int64) (record []byte, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		records := tx.Bucket(bucketRecords)
		if err := s.newVerifier(tx).guard(uint64(records.Root()), position); err != nil {
			return err
		}
		v := getRecord(records, position)
		if v == nil {
			return fmt.Errorf("%w: it is missing", frame.ErrCorrupt)
		}
		if int64(len(v)) != size && size != anySize {
			return fmt.Errorf("%w: it has %d bytes, should have %d", frame.ErrCorrupt, len(v), size)
		}
		record = append(record, v...)
		return nil
	})
	return record, err
}

// anySize is the size of a record where it is not known.
const anySize = -1

// view calls f in a transaction that reads.
func (s *store) view(f func(*bbolt.Tx) error) error {
	return contain(func() error { return s.db.View(f) })
}

// close closes the file and lets go of its lock.
func (s *store) close() error { return contain(s.db.Close) }

// abandon closes the file of a store that has returned errDamaged. The map of
// it stays: bbolt may still hold what protects it.
func (s *store) abandon() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

// contain calls f and turns a panic, or a fault in mapped memory, into
// errDamaged.
func contain(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}
