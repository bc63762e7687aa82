package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/asyncmetric/asyncmetric/queue"
)

var (
	// ErrInvalidOption is wrapped by the error that [Open] and [NewExporter]
	// return for options that they cannot accept. The error names the option,
	// its value and what is allowed.
	ErrInvalidOption = errors.New("jetstream: invalid option")

	// ErrNoStream is wrapped by the errors of Open, Put and Export if the stream
	// does not exist and must not be made.
	ErrNoStream = errors.New("there is no such stream")

	// ErrMismatch is wrapped by the error of Open if the stream, or a consumer of
	// it, is not one that this package can use: it has another number of
	// partitions, say. If that is found later it is reported to the observer, and
	// tried again.
	ErrMismatch = errors.New("the stream is another one")

	// ErrPermission is wrapped by the errors of Put and Export if the server
	// does not allow to publish.
	ErrPermission = errors.New("no permission")

	// ErrTooLarge is wrapped by the Err of the drop of a data point that does
	// not fit into a message alone.
	ErrTooLarge = errors.New("larger than a message may be")

	// ErrDiscarded is wrapped by the Err of the drop of what the server
	// discarded, as the stream was full. That wraps [queue.ErrFull], too.
	ErrDiscarded = errors.New("discarded by the server")

	// ErrLost is wrapped by the Err of the drop of what was in a stream that was
	// deleted, or that it does not have any more for another reason.
	ErrLost = errors.New("the stream has lost it")
)

// PartialSuccess is wrapped by the error of [Exporter.Export] if some of a
// collection could not be handed over, and the rest was. An exporter of package
// asyncmetric in front counts the rest as exported, as it does where an OTLP
// exporter says so.
type PartialSuccess struct {
	// RejectedItems is how many data points were left out.
	RejectedItems int64
	// Err is why.
	Err error
}

func (p PartialSuccess) Error() string {
	return fmt.Sprintf("%d data points were left out: %v", p.RejectedItems, p.Err)
}

// Unwrap returns Err.
func (p PartialSuccess) Unwrap() error { return p.Err }

// A temporary error is worth another attempt. It has the methods of a
// net.Error, which the exporter of package asyncmetric recognises.
type temporary struct{ error }

func (temporary) Timeout() bool   { return true }
func (temporary) Temporary() bool { return true }
func (t temporary) Unwrap() error { return t.error }

// inStream says of an error which stream it concerns.
func (c *config) inStream(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("jetstream: stream %s: %w", c.stream, err)
}

// isFull reports whether the server refused a message since the stream, or what
// the account or the server may store, is full.
func isFull(err error) bool {
	var api *natsjs.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode { // https://github.com/nats-io/nats-server/blob/main/server/errors.json
	case 10002, 10028, 10047: // resources of the account, memory, storage
		return true
	}
	return strings.Contains(api.Description, "maximum bytes exceeded") ||
		strings.Contains(api.Description, "maximum messages exceeded")
}

// isPassing reports whether a request that failed may succeed when it is
// repeated.
func isPassing(err error) bool {
	if isFull(err) { // not by itself
		return false
	}
	var api *natsjs.APIError
	if errors.As(err, &api) {
		const tooManyReplicas = 10074 // for a server that is alone
		return api.Code >= 500 && api.ErrorCode != tooManyReplicas
	}
	if errors.As(err, new(*net.OpError)) { // of a connection that breaks
		return true
	}
	for _, target := range []error{
		nats.ErrTimeout, nats.ErrNoResponders, natsjs.ErrNoStreamResponse, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, context.DeadlineExceeded,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

var errOverflow = fmt.Errorf("%w: %w", ErrDiscarded, queue.ErrFull)
