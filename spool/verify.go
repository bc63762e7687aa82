package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"go.etcd.io/bbolt"
)

// A verifier checks, before bbolt walks along them, that the pages of a file
// form trees. bbolt would follow a circle until the stack overflows, which ends
// the process and cannot be recovered from; all else that damage leads to in
// bbolt are panics.
//
// A damaged list of free pages is as bad: bbolt would write over pages in use,
// or anywhere on the disk.
//
// It reads the pages that point to others, not those that hold records: these
// are most of the file.
type verifier struct {
	file     io.ReaderAt
	pageSize int
	pages    uint64 // how many there are
	seen     map[uint64]struct{}
}

func (s *store) newVerifier(tx *bbolt.Tx) *verifier {
	size := s.db.Info().PageSize
	return &verifier{
		file: s.file, pageSize: size, pages: uint64(tx.Size()) / uint64(size), seen: make(map[uint64]struct{}),
	}
}

// verify returns an error that wraps errDamaged if the pages do not form trees.
func (s *store) verify(tx *bbolt.Tx) error {
	v := s.newVerifier(tx)
	if err := v.walkRoot(uint64(tx.Cursor().Bucket().Root())); err != nil {
		return err
	}
	return v.freeList(uint64(tx.ID()))
}

// walkRoot walks the tree of buckets, which is a single page as there are so
// few, and from there the trees of the buckets.
func (v *verifier) walkRoot(id uint64) error {
	p, err := v.page(id)
	if err != nil {
		return err
	}
	if p.flags != leafPage {
		return damagedPage(id, "has no buckets")
	}
	if err := v.elements(&p); err != nil {
		return err
	}
	for i := range p.count {
		pos, key, value := p.number(i, 4), p.number(i, 8), p.number(i, 12)
		at := pageHeader + i*pageElement + pos + key
		if p.number(i, 0) != bucketFlag || value < bucketHeader || at+value > len(p.b) {
			return damagedPage(id, "has an element that is not a bucket")
		}
		name := p.b[at-key : at]
		if err := v.walkBucket(&p, p.b[at:at+value], bytes.Equal(name, bucketIndex)); err != nil {
			return err
		}
	}
	return nil
}

// walkBucket walks the tree of a bucket, with or without its leaves.
func (v *verifier) walkBucket(p *page, bucket []byte, leaves bool) error {
	if root := binary.NativeEndian.Uint64(bucket); root != 0 {
		depth, err := v.depth(root)
		if err != nil {
			return err
		}
		return v.walkTree(root, depth, leaves)
	}
	return v.inline(p.id, bucket)
}

// depth returns how many levels of branches a tree has, which is the same
// everywhere in it.
func (v *verifier) depth(id uint64) (depth int, err error) {
	seen := v.seen
	defer func() { v.seen = seen }()
	v.seen = make(map[uint64]struct{})
	for ; depth < maxDepth; depth++ {
		p, err := v.page(id)
		switch {
		case err != nil:
			return 0, err
		case p.flags == leafPage:
			return depth, nil
		case p.count == 0:
			return 0, damagedPage(id, "is an empty branch")
		}
		id = p.child(0)
	}
	return 0, damagedPage(id, "is too deep in its tree")
}

// walkTree walks the branches of a tree, and its leaves if that is asked for.
func (v *verifier) walkTree(id uint64, depth int, leaves bool) error {
	if depth == 0 && !leaves {
		return v.enter(id)
	}
	p, err := v.page(id)
	if err == nil {
		err = v.elements(&p)
	}
	if err != nil || depth == 0 && p.flags == leafPage {
		return err
	}
	if depth == 0 || p.flags != branchPage {
		return damagedPage(id, "has flags %#x", p.flags)
	}
	for i := range p.count {
		if err := v.walkTree(p.child(i), depth-1, leaves); err != nil {
			return err
		}
	}
	return nil
}

// freeList checks the list of free pages, which the meta page of the newest
// transaction points to.
func (v *verifier) freeList(transaction uint64) error {
	var meta [metaFreeList + 8]byte
	if _, err := v.file.ReadAt(meta[:], int64(transaction%2)*int64(v.pageSize)); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	id := binary.NativeEndian.Uint64(meta[metaFreeList:])
	var header [pageHeader + 8]byte
	if _, err := v.file.ReadAt(header[:], int64(id)*int64(v.pageSize)); err != nil {
		return fmt.Errorf("%w: the list of free pages: %w", errDamaged, err)
	}
	for i := range uint64(binary.NativeEndian.Uint32(header[12:])) + 1 {
		if err := v.enter(id + i); err != nil {
			return err
		}
	}
	at := int64(id)*int64(v.pageSize) + pageHeader
	count := uint64(binary.NativeEndian.Uint16(header[10:]))
	if count == manyFree {
		count = binary.NativeEndian.Uint64(header[pageHeader:])
		at += 8
	}
	if binary.NativeEndian.Uint16(header[8:]) != freePage || count > v.pages {
		return damagedPage(id, "is not the list of free pages")
	}
	list := make([]byte, 8*count)
	if _, err := v.file.ReadAt(list, at); err != nil {
		return fmt.Errorf("%w: the list of free pages: %w", errDamaged, err)
	}
	before := uint64(1)
	for ; len(list) > 0; list = list[8:] {
		free := binary.NativeEndian.Uint64(list)
		if _, used := v.seen[free]; used || free <= before || free >= v.pages {
			return damagedPage(free, "is in the list of free pages")
		}
		before = free
	}
	return nil
}
