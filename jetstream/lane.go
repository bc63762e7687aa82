package jetstream

import (
	"crypto/sha256"
	"slices"
	"strconv"
)

// A lane is what has been published to one partition. It belongs to whoever
// has put a value into busy.
type lane struct {
	partition int
	busy      chan struct{} // capacity 1
	stored    uint64        // data points
	count     uint64        // messages
	last      uint64        // sequence number of the newest
	doubtful  []doubt       // oldest first
}

// A doubt is a message that may have been stored, or that was, as a part of a
// collection of which another part was not. It has its id again if it is
// published again.
type doubt struct {
	sum     [sha256.Size]byte // of its bytes
	id      string
	counted bool // it was stored, and whoever put it knows
}

// maxDoubts is how many such messages a lane remembers.
const maxDoubts = 1 << 12

// identify returns what a record is published as: if it has the same bytes as an
// earlier one that may have been stored, as that one, so that it is not stored
// twice. Two collections with equal times and all are one.
func (l *lane) identify(producer string, data []byte) (id string, counted bool) {
	if len(l.doubtful) > 0 {
		sum := sha256.Sum256(data)
		for _, d := range l.doubtful {
			if d.sum == sum {
				return d.id, d.counted
			}
		}
	}
	l.count++
	return producer + "." + strconv.Itoa(l.partition) + "." + strconv.FormatUint(l.count, 10), false
}

// clear forgets a message.
func (l *lane) clear(id string) {
	l.doubtful = slices.DeleteFunc(l.doubtful, func(d doubt) bool { return d.id == id })
}

// doubt remembers a message that may have been stored, or, if it is counted, that
// was; of too many the latest.
func (l *lane) doubt(id string, data []byte, counted bool) {
	if slices.ContainsFunc(l.doubtful, func(d doubt) bool { return d.id == id }) {
		return
	}
	l.doubtful = append(l.doubtful, doubt{sum: sha256.Sum256(data), id: id, counted: counted})
	if more := len(l.doubtful) - maxDoubts; more > 0 {
		l.doubtful = slices.Delete(l.doubtful, 0, more)
	}
}
