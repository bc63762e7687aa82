package outcome

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// The gRPC codes that matter, by their numbers in
// https://grpc.io/docs/guides/status-codes/.
const (
	grpcCanceled          = 1
	grpcInvalidArgument   = 3
	grpcDeadlineExceeded  = 4
	grpcNotFound          = 5
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcAborted           = 10
	grpcOutOfRange        = 11
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcDataLoss          = 15
	grpcUnauthenticated   = 16
)

// IsOutOfRange reports whether it is the gRPC code OUT_OF_RANGE.
func (s Status) IsOutOfRange() bool { return s.GRPC == grpcOutOfRange }

// marshaling is what gRPC says where it cannot encode a request: function encode of
// https://github.com/grpc/grpc-go/blob/master/rpc_util.go.
const marshaling = "grpc: error while marshaling"

// dialling is what gRPC says where it has no connection: function NewHTTP2Client of
// https://github.com/grpc/grpc-go/blob/master/internal/transport/http2_client.go.
const dialling = "Error while dialing"

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

// meaning returns what the status of err means to a queue.
func (s grpcStatus) meaning(err error) Meaning {
	m := Meaning{Class: Away, After: s.delay, Status: Status{GRPC: int(s.code)}}
	switch s.code {
	case grpcInvalidArgument:
		m.Class = Bad
		if saysTooLarge(contain.Text(err)) {
			m.Class = TooLarge
		}
	case grpcResourceExhausted:
		if !s.retryInfo && saysTooLarge(contain.Text(err)) {
			m.Class = TooLarge
		}
	case grpcInternal:
		if strings.Contains(contain.Text(err), marshaling) {
			m.Class = Bad
		}
	case grpcNotFound, grpcPermissionDenied, grpcUnimplemented, grpcUnauthenticated:
		m.Refused = true
	}
	m.Unsent = s.code == grpcUnavailable && strings.Contains(contain.Text(err), dialling)
	if m.Class != Away {
		m.After = 0
	}
	return m
}

// retryable returns what the specification of OTLP says of the status.
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
