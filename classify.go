package asyncmetric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"reflect"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// DefaultClassify reports whether an export that failed with err is worth
// another attempt, and the delay that the server asked for, zero if it did
// not. It is what [Retry] uses where nothing else is given.
//
// Worth another attempt are:
//   - a deadline that passed, every net.Error, a connection that was refused,
//     reset or broken, io.EOF and io.ErrUnexpectedEOF;
//   - the gRPC codes that the OTLP specification calls retryable: Canceled,
//     DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss, and
//     ResourceExhausted only if the server sent RetryInfo. Without it, that
//     code mostly means a message that is too large, and always will be;
//   - the HTTP statuses 429, 502, 503 and 504, as otlpmetrichttp reports them.
//
// Everything else is not, a panic of the exporter included.
//
// See https://opentelemetry.io/docs/specs/otlp/#failures and
// https://opentelemetry.io/docs/specs/otlp/#failures-1.
func DefaultClassify(err error) (retry bool, after time.Duration) {
	for e := range chain(err) {
		if status, ok := grpcStatusOf(e); ok {
			return status.retryable()
		}
		if delay, ok := otlpHTTPRetryable(e); ok {
			return true, delay
		}
	}
	return isTransient(err), 0
}

// isTransient recognises what fails between here and the server.
func isTransient(err error) bool {
	for e := range chain(err) {
		if _, ok := e.(syscall.Errno); ok {
			continue // every errno has the methods of a net.Error, "no space left" too
		}
		if _, ok := e.(net.Error); ok {
			return true
		}
	}
	for _, target := range []error{
		context.DeadlineExceeded,
		io.EOF, io.ErrUnexpectedEOF,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// chain yields err and all errors that it wraps.
func chain(err error) iter.Seq[error] {
	return func(yield func(error) bool) { walk(err, yield) }
}

func walk(err error, yield func(error) bool) bool {
	if err == nil {
		return true
	}
	if !yield(err) {
		return false
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return walk(e.Unwrap(), yield)
	case interface{ Unwrap() []error }:
		for _, child := range e.Unwrap() {
			if !walk(child, yield) {
				return false
			}
		}
	}
	return true
}

// The gRPC codes that OTLP calls retryable, by their numbers in
// https://grpc.io/docs/guides/status-codes/.
const (
	grpcCanceled          = 1
	grpcDeadlineExceeded  = 4
	grpcResourceExhausted = 8
	grpcAborted           = 10
	grpcOutOfRange        = 11
	grpcUnavailable       = 14
	grpcDataLoss          = 15
)

// grpcStatus is what matters of a gRPC status.
type grpcStatus struct {
	code      uint64
	name      string // of the code
	retryInfo bool
	delay     time.Duration // from RetryInfo
}

// errorType returns the name of the code. The server chooses the code, so there
// are names for those only that gRPC has.
func (s grpcStatus) errorType() attribute.KeyValue {
	const lastCode = 16
	if s.code > lastCode {
		return semconv.ErrorTypeOther
	}
	return semconv.ErrorTypeKey.String(s.name)
}

func (s grpcStatus) retryable() (retry bool, after time.Duration) {
	switch s.code {
	case grpcCanceled, grpcDeadlineExceeded, grpcAborted, grpcOutOfRange, grpcUnavailable, grpcDataLoss:
		return true, s.delay
	case grpcResourceExhausted:
		return s.retryInfo, s.delay
	default:
		return false, 0
	}
}

// grpcStatusOf reads a status through the GRPCStatus method by which gRPC's
// own status.FromError recognises an error. It does so by reflection: an
// import would put gRPC into the binary of everyone who does not use it. The
// method names are constants, so the linker still removes unused methods.
func grpcStatusOf(err error) (s grpcStatus, ok bool) {
	status, ok := call(reflect.ValueOf(err).MethodByName("GRPCStatus"))
	if !ok || status.Kind() != reflect.Pointer || status.IsNil() {
		return s, false
	}
	code, ok := call(status.MethodByName("Code"))
	if !ok || !code.CanUint() {
		return s, false
	}
	s.code, s.name = code.Uint(), fmt.Sprint(code.Interface())
	if details, ok := call(status.MethodByName("Details")); ok {
		if list, ok := details.Interface().([]any); ok {
			s.retryInfo, s.delay = retryInfoIn(list)
		}
	}
	return s, true
}

// retryInfoIn looks for a google.rpc.RetryInfo.
func retryInfoIn(details []any) (found bool, delay time.Duration) {
	for _, detail := range details {
		if detail == nil {
			continue
		}
		d, ok := call(reflect.ValueOf(detail).MethodByName("GetRetryDelay"))
		if !ok {
			continue
		}
		if d, ok := d.Interface().(interface{ AsDuration() time.Duration }); ok {
			return true, max(0, d.AsDuration())
		}
	}
	return false, 0
}

// call calls a method without parameters that has one result.
func call(method reflect.Value) (result reflect.Value, ok bool) {
	if !method.IsValid() || method.Type().NumIn() != 0 || method.Type().NumOut() != 1 {
		return result, false
	}
	return method.Call(nil)[0], true
}

// otlpHTTPRetryable recognises the error by which otlpmetrichttp says that the
// response asks for another attempt. Its type is not exported, and neither is
// the delay in it.
func otlpHTTPRetryable(err error) (delay time.Duration, ok bool) {
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || v.Type().Name() != "retryableError" ||
		!strings.HasSuffix(v.Type().PkgPath(), "/otlpmetrichttp") {
		return 0, false
	}
	if f := v.FieldByName("throttle"); f.IsValid() && f.CanInt() {
		delay = max(0, time.Duration(f.Int()))
	}
	return delay, true
}

// partialSuccess recognises the error by which the OTLP exporters say that the
// server accepted a batch but for some of its data points. The type is not
// exported by them.
func partialSuccess(err error) (rejected int, ok bool) {
	for e := range chain(err) {
		v := reflect.ValueOf(e)
		if v.Kind() != reflect.Struct || v.Type().Name() != "PartialSuccess" {
			continue
		}
		if f := v.FieldByName("RejectedItems"); f.IsValid() && f.CanInt() {
			return int(max(0, f.Int())), true
		}
	}
	return 0, false
}
