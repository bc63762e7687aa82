package spool

import (
	"encoding/binary"
	"fmt"
)

// The layout of a page: a header, then elements.
const (
	pageHeader   = 16 // id 8, flags 2, count 2, overflow 4 bytes
	pageElement  = 16 // branch: pos 4, ksize 4, id 8; leaf: flags 4, pos 4, ksize 4, vsize 4
	branchPage   = 1
	leafPage     = 2
	bucketFlag   = 1  // of a leaf element
	bucketHeader = 16 // root 8, sequence 8; if there is no root, a page follows

	freePage        = 16
	metaFreeList    = 48     // where in a meta page the id of the list of free pages is
	metaTransaction = 64     // and that of the transaction
	manyFree        = 0xFFFF // as the number of elements: the first of 8 bytes is the number

	maxDepth = 32 // a tree of that depth would not fit on any disk
)

// A page is what a verifier reads of one: the header and the elements, not what
// these point to.
type page struct {
	id           uint64
	flags, count int
	size         int // with the pages that belong to it
	inline       bool
	b            []byte
}

func damagedPage(id uint64, format string, args ...any) error {
	return fmt.Errorf("%w: page %d %s", errDamaged, id, fmt.Sprintf(format, args...))
}

// enter notes that a page is in use.
func (v *verifier) enter(id uint64) error {
	if _, again := v.seen[id]; again || id < 2 || id >= v.pages {
		return damagedPage(id, "is not where it should be")
	}
	v.seen[id] = struct{}{}
	return nil
}

// page reads a page that has not been read before.
func (v *verifier) page(id uint64) (page, error) {
	if err := v.enter(id); err != nil {
		return page{}, err
	}
	p := page{id: id, b: make([]byte, v.pageSize)}
	if err := v.readAt(p.b, id); err != nil {
		return p, err
	}
	if self := binary.NativeEndian.Uint64(p.b); self != id {
		return p, damagedPage(id, "says that it is %d", self)
	}
	p.flags, p.count = int(binary.NativeEndian.Uint16(p.b[8:])), int(binary.NativeEndian.Uint16(p.b[10:]))
	overflow := uint64(binary.NativeEndian.Uint32(p.b[12:]))
	if overflow >= v.pages-id {
		return p, damagedPage(id, "has %d more pages", overflow)
	}
	p.size = int(1+overflow) * v.pageSize
	if p.flags != branchPage && p.flags != leafPage {
		return p, damagedPage(id, "has flags %#x", p.flags)
	}
	end := pageHeader + p.count*pageElement
	if end > p.size {
		return p, damagedPage(id, "has %d elements", p.count)
	}
	if end > len(p.b) {
		p.b = make([]byte, end)
		return p, v.readAt(p.b, id)
	}
	return p, nil
}

func (v *verifier) readAt(b []byte, id uint64) error {
	if _, err := v.file.ReadAt(b, int64(id)*int64(v.pageSize)); err != nil {
		return damagedPage(id, "cannot be read: %v", err)
	}
	return nil
}

// number returns a number of 4 bytes of an element.
func (p *page) number(element, at int) int {
	return int(binary.NativeEndian.Uint32(p.b[pageHeader+element*pageElement+at:]))
}

// child returns the page that an element of a branch points to.
func (p *page) child(element int) uint64 {
	return binary.NativeEndian.Uint64(p.b[pageHeader+element*pageElement+8:])
}

// elements checks that all elements have short keys, as ours are, and lie
// within the page.
func (v *verifier) elements(p *page) error {
	sum := pageHeader
	for i := range p.count {
		pos, key, value := p.number(i, 0), p.number(i, 4), 0
		if p.flags == leafPage {
			if p.number(i, 0) > bucketFlag {
				return damagedPage(p.id, "has an element of flags %#x", p.number(i, 0))
			}
			pos, key, value = p.number(i, 4), p.number(i, 8), p.number(i, 12)
		}
		sum += pageElement + key + value
		if key > 8 || sum > p.size || pageHeader+i*pageElement+pos+key+value > p.size {
			return damagedPage(p.id, "has an element of %d and %d bytes", key, value)
		}
	}
	// All pages that it claims become free with it.
	if pages := sum/v.pageSize + 1; !p.inline && p.size != pages*v.pageSize {
		return damagedPage(p.id, "has %d bytes, needs %d pages", p.size, pages)
	}
	return nil
}
