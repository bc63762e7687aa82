package jetstream

import (
	"crypto/sha256"
	"slices"
	"strconv"
)

// A partitionWriter is what has been published to one partition. It belongs to
// the caller of send that has put a value into busy.
type partitionWriter struct {
	partition   int
	busy        chan struct{} // capacity 1
	stored      uint64        // data points
	count       uint64        // messages
	last        uint64        // sequence number of the newest
	unconfirmed []unconfirmed // oldest first
}

// An unconfirmed is a message that may have been stored, or that was, as a part
// of a collection of which another part was not. It has its id again if it is
// published again.
type unconfirmed struct {
	sum     [sha256.Size]byte // of its bytes
	id      string
	counted bool // it was stored, and the caller of send knows
}

// maxUnconfirmed is how many such messages a partitionWriter remembers.
const maxUnconfirmed = 1 << 12

// identify returns what a record is published as: if it has the same bytes as an
// earlier one that may have been stored, as that one, so that it is not stored
// twice. Two collections with equal times and all are one.
func (w *partitionWriter) identify(producer string, data []byte) (id string, counted bool) {
	if len(w.unconfirmed) > 0 {
		sum := sha256.Sum256(data)
		for _, u := range w.unconfirmed {
			if u.sum == sum {
				return u.id, u.counted
			}
		}
	}
	w.count++
	return producer + "." + strconv.Itoa(w.partition) + "." + strconv.FormatUint(w.count, 10), false
}

// forget forgets a message.
func (w *partitionWriter) forget(id string) {
	w.unconfirmed = slices.DeleteFunc(w.unconfirmed, func(u unconfirmed) bool { return u.id == id })
}

// remember remembers a message that may have been stored, or, if it is counted,
// that was; of too many the latest.
func (w *partitionWriter) remember(id string, data []byte, counted bool) {
	if slices.ContainsFunc(w.unconfirmed, func(u unconfirmed) bool { return u.id == id }) {
		return
	}
	w.unconfirmed = append(w.unconfirmed, unconfirmed{sum: sha256.Sum256(data), id: id, counted: counted})
	if more := len(w.unconfirmed) - maxUnconfirmed; more > 0 {
		w.unconfirmed = slices.Delete(w.unconfirmed, 0, more)
	}
}
