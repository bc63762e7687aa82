package asyncmetric

import (
	"time"

	"github.com/asyncmetric/asyncmetric/internal/contain"
	"github.com/asyncmetric/asyncmetric/internal/outcome"
)

// A Verdict says what an error of the inner exporter means. The zero value
// leaves that to [DefaultClassify].
type Verdict struct {
	Action Action
	// After is the delay that the server asked for, zero if it did not. The next
	// attempt waits for it, also that of the next batch where this one is dropped.
	// With ActionDefault it is ignored.
	After time.Duration
	// Refused says of ActionRetry that the destination answered, and that someone
	// has to mend something before it will take anything: credentials, an address.
	// The delay between attempts then grows up to 5 minutes, or MaxInterval of
	// [Retry] if that is more.
	Refused bool
}

// An Action is what becomes of a batch whose export failed.
type Action int

// The actions.
const (
	// ActionDefault leaves the decision to [DefaultClassify].
	ActionDefault Action = iota
	// ActionRetry sends the batch again: the error says nothing about its data.
	ActionRetry
	// ActionSplit sends the batch again in halves, because it is too large. A
	// single data point that is too large is dropped, with the reason permanent.
	ActionSplit
	// ActionDrop drops the batch, with the reason permanent, because its data is
	// bad.
	ActionDrop
)

// DefaultClassify says what an error of the inner exporter means to [Retry]
// where nothing else is given. An error is of one of four classes:
//
//   - The data is bad (ActionDrop): HTTP 400 and 422, gRPC InvalidArgument, what an
//     exporter says of its own encoding, a panic.
//   - The batch is too large (ActionSplit): HTTP 413; gRPC ResourceExhausted
//     without RetryInfo, InvalidArgument, HTTP 400 and errors of unknown kinds, if
//     their text says so.
//   - The destination is not there for us (ActionRetry): network errors, deadlines
//     and all other statuses. Refused is true for HTTP 401, 403, 404, 405, 407 and
//     501, for gRPC Unauthenticated, PermissionDenied, Unimplemented and NotFound,
//     and for an exporter or a client that has been shut down.
//   - The error does not tell (ActionRetry): errors of unknown kinds. An exporter of your
//     own that means it for good says so with a [RejectedError].
//
// What is retried in vain is put to the test, see Suspect of [Retry]. Of joined
// errors, as of several requests of one Export, the most hopeful one decides: the
// destination is not there, else the batch is too large, else its data is bad.
// Otherwise what was only not delivered for the moment would be lost. Errors of
// unknown kinds count only where there is no other.
//
// [ClassifyOTLP] is stricter. docs/errors.md has what becomes of each error of the
// OTLP exporters.
func DefaultClassify(err error) Verdict { return verdictOf(outcome.Classify(err, isRejection)) }

// ClassifyOTLP says what an error means by the letter of the OTLP specification,
// which is made for exporters without a queue. It can be given to [Retry].
//
// Worth another attempt are:
//   - a deadline that passed, every net.Error, a connection that was refused,
//     reset or broken, io.EOF and io.ErrUnexpectedEOF;
//   - the gRPC codes Canceled, DeadlineExceeded, Aborted, OutOfRange, Unavailable,
//     DataLoss, and ResourceExhausted only if the server sent RetryInfo;
//   - the HTTP statuses 429, 502, 503 and 504, as otlpmetrichttp reports them.
//
// Everything else is dropped.
//
// See https://opentelemetry.io/docs/specs/otlp/#failures and
// https://opentelemetry.io/docs/specs/otlp/#failures-1.
func ClassifyOTLP(err error) Verdict { return verdictOf(outcome.ClassifyOTLP(err, isRejection)) }

func verdictOf(m outcome.Meaning) Verdict {
	v := Verdict{Action: ActionRetry, After: m.After, Refused: m.Refused}
	switch m.Class {
	case outcome.Bad:
		v.Action = ActionDrop
	case outcome.TooLarge:
		v.Action = ActionSplit
	}
	return v
}

// An ErrorStatus is the status with which a server answered.
type ErrorStatus struct {
	// GRPC is the gRPC code, as in package google.golang.org/grpc/codes; zero if
	// there is none.
	GRPC int
	// HTTP is the HTTP status; zero if there is none.
	HTTP int
}

// StatusOf reads the gRPC code or the HTTP status out of an error of an exporter:
// out of errors with the method GRPCStatus, and out of those of otlpmetrichttp,
// which has the status only in the text. It reads nothing out of those by which
// otlpmetrichttp says that a response asks for another attempt, because they do not
// have it. Of joined errors it is that of the one which decides, see
// [DefaultClassify]. It reports whether there is a status.
func StatusOf(err error) (status ErrorStatus, ok bool) {
	_ = contain.Call("an error", func() error {
		status = ErrorStatus(outcome.Classify(err, isRejection).Status)
		return nil
	})
	return status, status != ErrorStatus{}
}
