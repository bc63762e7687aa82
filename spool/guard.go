package spool

import "encoding/binary"

// guard checks the pages that bbolt will read to change the record at a
// position: those on the way to it, and the ones beside them.
func (v *verifier) guard(root uint64, position uint64) error {
	if root == 0 {
		return nil // the bucket has no page of its own
	}
	clear(v.seen)
	p, err := v.page(root)
	for depth := 0; err == nil; depth++ {
		if err := v.elements(&p); err != nil {
			return err
		}
		if p.flags == leafPage {
			return v.record(&p, position)
		}
		if p.count == 0 || depth == maxDepth {
			return damagedPage(p.id, "is not a branch")
		}
		p, err = v.descend(&p, position)
	}
	return err
}

// record checks the page of the record at a position, if it has one.
func (v *verifier) record(p *page, position uint64) error {
	whole := make([]byte, min(p.size, 16*v.pageSize))
	if err := v.readAt(whole, p.id); err != nil {
		return err
	}
	for i := range p.count {
		at := pageHeader + i*pageElement + p.number(i, 4)
		key, value := p.number(i, 8), p.number(i, 12)
		if p.number(i, 0) != bucketFlag || key != 8 || at+key+value > len(whole) ||
			binary.BigEndian.Uint64(whole[at:]) != position {
			continue
		}
		if value < bucketHeader {
			return damagedPage(p.id, "has a bucket of %d bytes", value)
		}
		bucket := whole[at+key : at+key+value]
		root := binary.NativeEndian.Uint64(bucket)
		if root == 0 {
			return v.inline(p.id, bucket)
		}
		r, err := v.page(root)
		if err != nil {
			return err
		}
		if r.flags != leafPage || r.count != 1 || r.number(0, 0) != 0 {
			return damagedPage(root, "is not that of one record")
		}
		return v.elements(&r)
	}
	return nil
}

// inline checks the page in a bucket that has none of its own.
func (v *verifier) inline(id uint64, bucket []byte) error {
	p := page{id: id, flags: leafPage, size: len(bucket) - bucketHeader, b: bucket[bucketHeader:], inline: true}
	if p.size < pageHeader || binary.NativeEndian.Uint16(p.b[8:]) != leafPage {
		return damagedPage(id, "has a bucket that is not a page")
	}
	p.count = int(binary.NativeEndian.Uint16(p.b[10:]))
	if pageHeader+p.count*pageElement > p.size {
		return damagedPage(id, "has a bucket of %d elements", p.count)
	}
	return v.elements(&p)
}

// descend returns the page below p on the way to a position.
func (v *verifier) descend(p *page, position uint64) (next page, err error) {
	whole := make([]byte, min(p.size, 16*v.pageSize))
	if err := v.readAt(whole, p.id); err != nil {
		return page{}, err
	}
	way := 0
	for i := 1; i < p.count; i++ {
		at := pageHeader + i*pageElement + p.number(i, 0)
		if at+8 > len(whole) || binary.BigEndian.Uint64(whole[at:]) > position {
			break
		}
		way = i
	}
	for i := max(0, way-1); i <= min(way+1, p.count-1); i++ {
		beside, err := v.page(p.child(i))
		if err != nil {
			return page{}, err
		}
		if err := v.elements(&beside); err != nil {
			return page{}, err
		}
		if i == way {
			next = beside
		}
	}
	return next, nil
}
