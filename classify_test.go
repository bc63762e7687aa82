package asyncmetric_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/asyncmetric/asyncmetric"
)

// The types below have the shape of gRPC's, which this module does not import;
// internal/test/integration checks the real ones.
type (
	code       uint32
	delayProto time.Duration
	retryInfo  struct{ delay time.Duration }
	status     struct {
		code    code
		details []any
	}
	statusError struct{ s *status }
)

func (d *delayProto) AsDuration() time.Duration { return time.Duration(*d) }
func (r *retryInfo) GetRetryDelay() *delayProto { d := delayProto(r.delay); return &d }
func (c code) String() string                   { return fmt.Sprintf("code %d", uint32(c)) }
func (s *status) Code() code                    { return s.code }
func (s *status) Details() []any                { return s.details }
func (e *statusError) GRPCStatus() *status      { return e.s }
func (*statusError) Error() string              { return "rpc error" }

func grpcError(c code, details ...any) error {
	return fmt.Errorf("failed to upload: %w", errors.Join(&statusError{&status{c, details}}))
}

func TestDefaultClassify(t *testing.T) {
	const second = time.Second
	info := &retryInfo{7 * second}
	for _, test := range []struct {
		name  string
		err   error
		retry bool
		after time.Duration
	}{
		{"nil", nil, false, 0},
		{"any other error", errors.New("bad request"), false, 0},
		{"a panic", fmt.Errorf("%w: oops", asyncmetric.ErrPanic), false, 0},
		{"cancelled, but not by delivery", context.Canceled, false, 0},
		{"deadline", fmt.Errorf("export: %w", context.DeadlineExceeded), true, 0},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, 0},
		{"refused, bare", fmt.Errorf("dial: %w", syscall.ECONNREFUSED), true, 0},
		{"reset, bare", fmt.Errorf("read: %w", syscall.ECONNRESET), true, 0},
		{"broken pipe, bare", fmt.Errorf("write: %w", syscall.EPIPE), true, 0},
		{"another errno, bare", fmt.Errorf("write: %w", syscall.ENOSPC), false, 0},
		{"name not found", &net.DNSError{Err: "no such host", IsNotFound: true}, true, 0},
		{"request failed", &url.Error{Op: "Post", Err: errors.New("anything")}, true, 0},
		{"certificate, bare", x509.UnknownAuthorityError{}, false, 0},
		{"EOF", fmt.Errorf("read: %w", io.EOF), true, 0},
		{"unexpected EOF", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true, 0},
		{"joined", errors.Join(errors.New("one"), io.EOF), true, 0},
		{"gRPC OK", grpcError(0), false, 0},
		{"gRPC Canceled", grpcError(1), true, 0},
		{"gRPC Unknown", grpcError(2), false, 0},
		{"gRPC InvalidArgument", grpcError(3), false, 0},
		{"gRPC DeadlineExceeded", grpcError(4), true, 0},
		{"gRPC NotFound", grpcError(5), false, 0},
		{"gRPC AlreadyExists", grpcError(6), false, 0},
		{"gRPC PermissionDenied", grpcError(7), false, 0},
		{"gRPC ResourceExhausted", grpcError(8), false, 0},
		{"gRPC ResourceExhausted with RetryInfo", grpcError(8, "text", nil, info), true, 7 * second},
		{"gRPC FailedPrecondition", grpcError(9, info), false, 0},
		{"gRPC Aborted", grpcError(10), true, 0},
		{"gRPC OutOfRange", grpcError(11), true, 0},
		{"gRPC Unimplemented", grpcError(12), false, 0},
		{"gRPC Internal", grpcError(13), false, 0},
		{"gRPC Unavailable", grpcError(14), true, 0},
		{"gRPC Unavailable with RetryInfo", grpcError(14, info), true, 7 * second},
		{"gRPC Unavailable with a negative RetryInfo", grpcError(14, &retryInfo{-second}), true, 0},
		{"gRPC DataLoss", grpcError(15), true, 0},
		{"gRPC Unauthenticated", grpcError(16), false, 0},
		{"gRPC without a status", &statusError{}, false, 0},
	} {
		retry, after := asyncmetric.DefaultClassify(test.err)
		assert.Equal(t, test.retry, retry, test.name)
		assert.Equal(t, test.after, after, test.name)
	}
}

// misleading has methods and names that look right and are not.
type misleading struct{ RejectedItems string }

func (misleading) Error() string              { return "misleading" }
func (misleading) GRPCStatus(int) (int, bool) { return 0, false }

type retryableError struct{ Throttle string }

func (retryableError) Error() string { return "not that of otlpmetrichttp" }

func TestDefaultClassifyIsNotMisled(t *testing.T) {
	for _, err := range []error{misleading{}, &misleading{}, retryableError{}, &retryableError{}} {
		retry, after := asyncmetric.DefaultClassify(err)
		assert.False(t, retry, "%T", err)
		assert.Zero(t, after)
	}
}
