// Package outcome says what an error of an exporter means: what it says about
// the batch, how many data points a server rejected, and how metrics name the
// error. It recognises the errors of the OTLP exporters and of gRPC without
// importing them: their packages would be in the binary of everybody who uses
// another exporter.
//
// The functions call methods of the error, which may panic.
package outcome

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// A Class is what an error says about a batch. The larger one is the more
// hopeful.
type Class int

// The classes.
const (
	// Unknown: the error says nothing that is known.
	Unknown Class = iota
	// Bad: the data of the batch is bad.
	Bad
	// TooLarge: the batch is too large.
	TooLarge
	// Away: the destination is not there for us, which says nothing about the
	// batch.
	Away
)

// A Meaning is what an error means.
type Meaning struct {
	Class Class
	// After is the delay that the server asked for, zero if it did not.
	After time.Duration
	// Refused says of Away that the destination takes nothing until someone mends
	// something.
	Refused bool
	// Unsent says of Away that there was no connection, so that the batch cannot be
	// the reason.
	Unsent bool
	// Status is the status in the error that decided.
	Status Status
}

// A Status is what a server answered. Zero means that there is none.
type Status struct{ GRPC, HTTP int }

// Classify says what an error means to a queue. Of joined errors, as of several
// requests of one Export, the most hopeful one decides: else what was only not
// delivered for the moment would be lost. An error of an unknown kind says nothing
// beside one of a known kind, because wrappers join descriptions.
//
// Errors for which isRejection is true say which points a server rejected of what
// it accepted. They are Bad, whatever they wrap.
func Classify(err error, isRejection func(error) bool) Meaning {
	m := decide(err, isRejection, meaningOf)
	if m.Class == Unknown && err != nil {
		m.Class = classOfText(contain.Text(err))
	}
	return m
}

// ClassifyOTLP says what an error means by the letter of the specification of
// OTLP: Away is worth another attempt, everything else is Bad.
func ClassifyOTLP(err error, isRejection func(error) bool) Meaning {
	m := decide(err, isRejection, meaningToOTLP)
	if m.Class != Away {
		m.Class = Bad
	}
	return m
}

// decide finds the most hopeful meaning of err and what it wraps.
func decide(err error, isRejection func(error) bool, meaning func(error) Meaning) (most Meaning) {
	closed := func(e error) bool {
		if !isPartialSuccess(e) && !isRejection(e) {
			return false
		}
		most.Class = max(most.Class, Bad)
		return true
	}
	for e := range contain.ErrorsOutside(err, closed) {
		m := meaning(e)
		switch {
		case m.Class > most.Class:
			most = m
		case m.Class == most.Class && m.Class != Unknown:
			most.After = max(most.After, m.After)
			most.Refused = most.Refused && m.Refused
			most.Unsent = most.Unsent || m.Unsent
		}
	}
	return most
}

// meaningOf returns what one error means, without those that it wraps.
func meaningOf(err error) Meaning {
	if s, ok := grpcStatusOf(err); ok {
		return s.meaning(err)
	}
	if delay, ok := otlpHTTPRetryable(err); ok {
		return Meaning{Class: Away, After: delay}
	}
	if status, ok := otlpHTTPStatus(err); ok {
		return httpMeaning(status, err)
	}
	switch {
	case err == contain.ErrPanic || err == contain.ErrGoexit || isOfEncoding(err):
		return Meaning{Class: Bad}
	case isClosed(err):
		return Meaning{Class: Away, Refused: true}
	case isTransient(err):
		return Meaning{Class: Away, Unsent: isOfDialling(err)}
	}
	return Meaning{}
}

// meaningToOTLP is meaningOf for ClassifyOTLP.
func meaningToOTLP(err error) Meaning {
	if s, ok := grpcStatusOf(err); ok {
		retry, after := s.retryable()
		return Meaning{Class: away(retry), After: after}
	}
	delay, ok := otlpHTTPRetryable(err)
	return Meaning{Class: away(ok || isTransient(err)), After: delay}
}

func away(is bool) Class {
	if is {
		return Away
	}
	return Unknown
}

// isPartialSuccess recognises the error by which the OTLP exporters say that the
// server accepted a batch but for some of its data points. They do not export its
// type.
func isPartialSuccess(err error) bool {
	_, ok := rejectedItems(err)
	return ok
}

func rejectedItems(err error) (points int, ok bool) {
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Struct || v.Type().Name() != "PartialSuccess" {
		return 0, false
	}
	f := v.FieldByName("RejectedItems")
	if !f.IsValid() || !f.CanInt() {
		return 0, false
	}
	return int(min(max(0, f.Int()), math.MaxInt)), true
}

// Rejected returns how many data points a server rejected of a batch that it
// accepted otherwise.
func Rejected(err error) (points int, ok bool) {
	for e := range contain.Errors(err) {
		if points, ok = rejectedItems(e); ok {
			return points, true
		}
	}
	return 0, false
}

// ErrorType returns the attribute error.type for an error of an attempt.
func ErrorType(err error) (kv attribute.KeyValue) {
	failed := contain.Call("an error", func() error {
		kv = errorType(err)
		return nil
	})
	if failed != nil {
		return semconv.ErrorTypeOther
	}
	return kv
}

func errorType(err error) attribute.KeyValue {
	switch {
	case errors.Is(err, contain.ErrPanic):
		return semconv.ErrorTypeKey.String("panic")
	case errors.Is(err, context.DeadlineExceeded):
		return semconv.ErrorTypeKey.String("timeout")
	}
	for e := range contain.Errors(err) {
		if status, ok := grpcStatusOf(e); ok {
			return status.errorType()
		}
		if status, ok := otlpHTTPStatus(e); ok {
			return semconv.ErrorTypeKey.String(strconv.Itoa(status))
		}
	}
	return semconv.ErrorType(err)
}
