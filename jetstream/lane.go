package jetstream

import (
	"bytes"
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
	doubtful  []doubt       // oldest first
}

// A doubt is a message that may have been stored, or that was, as a part of a
// collection of which another part was not. It has its id again if it is
// published again.
type doubt struct {
	data    []byte
	id      string
	counted bool // it was stored, and whoever put it knows
}

// maxDoubts is how many such messages a lane remembers.
const maxDoubts = 64

// identify returns what a record is published as: if it has the same bytes as an
// earlier one that may have been stored, as that one, so that it is not stored
// twice. Two collections with equal times and all are one.
func (l *lane) identify(producer string, data []byte) doubt {
	for _, d := range l.doubtful {
		if bytes.Equal(d.data, data) {
			return d
		}
	}
	l.count++
	id := producer + "." + strconv.Itoa(l.partition) + "." + strconv.FormatUint(l.count, 10)
	return doubt{data: data, id: id}
}

// clear forgets a message.
func (l *lane) clear(id string) {
	l.doubtful = slices.DeleteFunc(l.doubtful, func(d doubt) bool { return d.id == id })
}

// doubt remembers a message that may have been stored.
func (l *lane) doubt(id string, data []byte) {
	if !slices.ContainsFunc(l.doubtful, func(d doubt) bool { return d.id == id }) {
		l.keep([]doubt{{data: data, id: id}})
	}
}

// keep remembers messages, and of too many the latest.
func (l *lane) keep(messages []doubt) {
	l.doubtful = append(l.doubtful, messages...)
	if more := len(l.doubtful) - maxDoubts; more > 0 {
		l.doubtful = slices.Delete(l.doubtful, 0, more)
	}
}
