package spool

import "github.com/asyncmetric/asyncmetric/queue"

// A plan is what the writer is about to write in one transaction. The entries
// in it are claimed.
type plan struct {
	settleOps []*settleOp
	puts      []*putOp // that become entries of their own
	joins     []join
	drops     []drop

	entries int   // how many more will wait
	bytes   int64 // how many more of what waits
	size    int64 // of new records
}

// A drop is of an entry that waits.
type drop struct {
	entry  *entry
	reason queue.DropReason
	err    error
}

func (p *plan) empty() bool {
	return len(p.settleOps) == 0 && len(p.puts) == 0 && len(p.joins) == 0 && len(p.drops) == 0
}

func (p *plan) addPut(put *putOp) {
	p.puts = append(p.puts, put)
	p.entries++
	p.bytes += put.index.size
	p.size += put.index.size
}

func (p *plan) addJoin(j join) {
	p.joins = append(p.joins, j)
	p.bytes += j.data.size - j.older.size
	p.size += j.data.size
	if j.newer != nil {
		p.entries--
		p.bytes -= j.newer.size
	}
}

func (p *plan) addDrop(d drop) {
	d.entry.state = dropping
	p.drops = append(p.drops, d)
	p.entries--
	p.bytes -= d.entry.size
}

// allPuts returns the calls of Put that the plan is to end.
func (p *plan) allPuts() []*putOp {
	puts := p.puts
	for _, j := range p.joins {
		if j.put != nil {
			puts = append(puts, j.put)
		}
	}
	return puts
}

// letGo lets go of the entries that were to be joined and dropped.
func (p *plan) letGo() {
	for _, j := range p.joins {
		j.letGo()
	}
	for _, d := range p.drops {
		if d.entry.state == dropping {
			d.entry.state = waiting
		}
	}
}

// reduce leaves of a plan what does not depend on the records in the file: they
// are gone. The caller holds the lock.
func (p *plan) reduce() {
	puts := p.allPuts()
	p.letGo()
	*p = plan{settleOps: p.settleOps}
	for _, put := range puts {
		p.addPut(put)
	}
}

// change returns what to write. The next position is the one behind the given.
func (p *plan) change(position uint64) change {
	c := p.settleOpsOnly(position)
	for _, d := range p.drops {
		c.deletes = append(c.deletes, d.entry.position)
	}
	for _, j := range p.joins {
		c.writes = append(c.writes, write{j.older.position, j.frame, j.data.encode(j.older.position)})
		if j.newer != nil {
			c.deletes = append(c.deletes, j.newer.position)
		}
		if j.put != nil {
			position++
			c.last = position
		}
	}
	for _, put := range p.puts {
		position++
		c.last = position
		c.writes = append(c.writes, write{position, put.frame, put.index.encode(position)})
	}
	return c
}

// settleOpsOnly returns what to write of the settleOps.
func (p *plan) settleOpsOnly(uint64) change {
	var c change
	for _, d := range p.settleOps {
		for _, e := range d.entries {
			c.deletes = append(c.deletes, e.position)
		}
	}
	return c
}
