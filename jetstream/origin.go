package jetstream

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// An origin is what a message says of where it comes from.
type origin struct {
	producer string // who put it; empty if it does not say
	number   uint64 // of the message among those of the producer in the partition
	before   uint64 // points that the producer had stored there before
	points   int    // and that are in it
	tells    bool   // number and before are known
}

// isID is what nuid makes: anybody may have written what is received.
var isID = regexp.MustCompile(`^[0-9A-Za-z]{22}$`)

// originOf reads what publisher.publish has written.
func originOf(msg *nats.Msg) (o origin) {
	id := strings.Split(msg.Header.Get(natsjs.MsgIDHeader), ".")
	if len(id) != 3 || !isID.MatchString(id[0]) {
		return origin{}
	}
	o.producer = id[0]
	number, errNumber := strconv.ParseUint(id[2], 10, 63)
	first, second, _ := strings.Cut(msg.Header.Get(header), " ")
	before, errBefore := strconv.ParseUint(first, 10, 53)
	points, errPoints := strconv.ParseUint(second, 10, 31)
	o.points = int(points)
	if errors.Join(errNumber, errBefore, errPoints) == nil {
		o.number, o.before, o.tells = number, before, true
	}
	return o
}
