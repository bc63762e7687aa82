package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
)

// Why a backend does not accept a request.
var (
	errUnavailable = errors.New("backend unavailable") // the answer of one that is there, but does not work
	errDown        = errors.New("backend down")        // it went away before it could answer
)

// server speaks one protocol on behalf of a backend.
type server interface {
	// serve starts to accept connections from l and returns.
	serve(l net.Listener)
	// close stops listening and closes all connections. Afterwards no
	// request is counted.
	close() error
}

// backend receives the metrics of one pipeline and adds them up. It begins as
// refusing, which is the same as closed.
type backend struct {
	server   server
	address  string
	slowness time.Duration

	mu        sync.Mutex
	behaviour behaviour
	down      chan struct{} // closed when the backend goes down
	received  totals
	points    int
	requests  []totals // what each request brought
}

func newBackend(p protocol, slowness time.Duration) *backend {
	b := &backend{address: "127.0.0.1:0", slowness: slowness}
	b.server = p.newServer(b)
	return b
}

// behave changes what happens to requests from now on.
func (b *backend) behave(next behaviour) error {
	previous := b.change(next)
	switch {
	case previous == next:
		return nil
	case next == refusing:
		return b.server.close()
	case previous == refusing:
		return b.listen()
	default:
		return nil
	}
}

func (b *backend) change(next behaviour) (previous behaviour) {
	b.mu.Lock()
	defer b.mu.Unlock()
	previous, b.behaviour = b.behaviour, next
	if previous == refusing && next != refusing {
		b.down = make(chan struct{})
	}
	if previous != refusing && next == refusing {
		close(b.down)
	}
	return previous
}

// listen opens the port: any free one at first, the same one again later.
func (b *backend) listen() error {
	l, err := net.Listen("tcp", b.address)
	if err != nil {
		return err
	}
	b.address = l.Addr().String()
	b.server.serve(l)
	return nil
}

func (b *backend) close() error { return b.behave(refusing) }

// admit decides about a request and takes as long as the backend takes now. A
// slow request that is cut short, because the backend goes down or the client
// gives up, is not admitted: its client may send the same data again.
func (b *backend) admit(ctx context.Context) error {
	b.mu.Lock()
	current, down := b.behaviour, b.down
	b.mu.Unlock()

	switch current {
	case healthy:
		return nil
	case slow:
		select {
		case <-time.After(b.slowness):
			return nil
		case <-down:
			return errDown
		case <-ctx.Done():
			return ctx.Err()
		}
	case unavailable:
		return errUnavailable
	default:
		return errDown
	}
}

// accept counts req if its client still waits for the answer and the answer
// goes out. Counting anything else would count it twice, since a client
// without an answer sends again. The lock spans both steps, so that whoever
// has seen the answer finds the request counted.
func (b *backend) accept(
	ctx context.Context, req *collectorpb.ExportMetricsServiceRequest, answer func() error,
) error {
	sum, points := totalsOf(req)

	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := answer(); err != nil {
		return err
	}
	b.received.add(sum)
	b.points += points
	b.requests = append(b.requests, sum)
	return nil
}

// delivered returns what has been received so far.
func (b *backend) delivered() (received totals, points int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received, b.points
}

// counted returns what each request brought that has been counted so far.
func (b *backend) counted() []totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}
