// Package outcome says what an error of an exporter means: whether another
// attempt may succeed, how many data points a server rejected, and how metrics
// name the error. It recognises the errors of the OTLP exporters and of gRPC
// without importing them: their packages would be in the binary of everybody
// who uses another exporter.
//
// The functions call methods of the error, which may panic.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"reflect"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// Classify reports whether an export that failed with err is worth another
// attempt, and the delay that the server asked for, zero if it did not. The
// documentation of asyncmetric.DefaultClassify has the rules.
func Classify(err error) (retry bool, after time.Duration) {
	for e := range contain.Errors(err) {
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
	for e := range contain.Errors(err) {
		if _, ok := e.(net.Error); ok && !isErrno(e) {
			return true
		}
		for _, target := range []error{
			context.DeadlineExceeded,
			io.EOF, io.ErrUnexpectedEOF,
			syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
		} {
			if is(e, target) {
				return true
			}
		}
	}
	return false
}

// IsDeadline reports whether err says that a deadline has passed.
func IsDeadline(err error) bool {
	for e := range contain.Errors(err) {
		if is(e, context.DeadlineExceeded) {
			return true
		}
	}
	return false
}

// isErrno recognises the errors of the operating system. All of them have the
// methods of a net.Error, "no space left" too.
func isErrno(err error) bool {
	_, ok := err.(syscall.Errno)
	return ok
}

// is is errors.Is without the errors that err wraps.
func is(err, target error) bool {
	if err == target {
		return true
	}
	e, ok := err.(interface{ Is(error) bool })
	return ok && e.Is(target)
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

// errorType names the code. The server chooses it, so only the codes that gRPC
// has get a name.
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

// Rejected recognises the error by which the OTLP exporters say that the server
// accepted a batch but for some of its data points, and returns their number.
// The exporters do not export its type.
func Rejected(err error) (points int, ok bool) {
	for e := range contain.Errors(err) {
		v := reflect.ValueOf(e)
		if v.Kind() != reflect.Struct || v.Type().Name() != "PartialSuccess" {
			continue
		}
		if f := v.FieldByName("RejectedItems"); f.IsValid() && f.CanInt() {
			return int(min(max(0, f.Int()), math.MaxInt)), true
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
	}
	return semconv.ErrorType(err)
}
