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
	"go.opentelemetry.io/otel/sdk/metric"
	"pgregory.net/rapid"

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

func (c code) String() string { return fmt.Sprintf("code %d", uint32(c)) }

func (s *status) Code() code { return s.code }

func (s *status) Details() []any { return s.details }

func (e *statusError) GRPCStatus() *status { return e.s }

func (*statusError) Error() string { return "rpc error" }

func grpcError(c code, details ...any) error {
	return fmt.Errorf("failed to upload: %w", errors.Join(&statusError{&status{c, details}}))
}

// said is a gRPC error with a text.
func said(c code, text string) error { return &textError{statusError{&status{code: c}}, text} }

type textError struct {
	statusError
	text string
}

func (e *textError) Error() string { return e.text }

// overHTTP is the error of otlpmetrichttp for a status; internal/test/integration
// has the real ones.
func overHTTP(status, body string) error {
	return fmt.Errorf("failed to upload metrics: %w", errors.Join(fmt.Errorf(
		"failed to send metrics to http://localhost:4318/v1/metrics: %s (%w)", status, fmt.Errorf("body: %s", body))))
}

var (
	drops   = asyncmetric.Verdict{Action: asyncmetric.ActionDrop}
	splits  = asyncmetric.Verdict{Action: asyncmetric.ActionSplit}
	retries = asyncmetric.Verdict{Action: asyncmetric.ActionRetry}
	mending = asyncmetric.Verdict{Action: asyncmetric.ActionRetry, Refused: true}
)

func after(seconds int) asyncmetric.Verdict {
	return asyncmetric.Verdict{Action: asyncmetric.ActionRetry, After: time.Duration(seconds) * time.Second}
}

// classified are errors, and what they mean to a queue and to the specification
// of OTLP.
var classified = []struct {
	name        string
	err         error
	queue, spec asyncmetric.Verdict
}{
	{"any other error", errors.New("bad request"), retries, drops},
	{"a panic", fmt.Errorf("%w: oops", asyncmetric.ErrPanic), drops, drops},
	{"cancelled, but not by the exporter", context.Canceled, retries, drops},
	{"deadline", fmt.Errorf("export: %w", context.DeadlineExceeded), retries, retries},
	{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, retries, retries},
	{"refused, bare", fmt.Errorf("dial: %w", syscall.ECONNREFUSED), retries, retries},
	{"reset, bare", fmt.Errorf("read: %w", syscall.ECONNRESET), retries, retries},
	{"broken pipe, bare", fmt.Errorf("write: %w", syscall.EPIPE), retries, retries},
	{"another errno, bare", fmt.Errorf("write: %w", syscall.ENOSPC), retries, drops},
	{"name not found", &net.DNSError{Err: "no such host", IsNotFound: true}, retries, retries},
	{"request failed", &url.Error{Op: "Post", Err: errors.New("anything")}, retries, retries},
	{"certificate, bare", x509.UnknownAuthorityError{}, retries, drops},
	{"EOF", fmt.Errorf("read: %w", io.EOF), retries, retries},
	{"unexpected EOF", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), retries, retries},
	{"shut down", metric.ErrExporterShutdown, mending, drops},
	{"shut down, over gRPC", fmt.Errorf("failed to upload metrics: %w", errors.New("gRPC exporter is shutdown")), mending, drops},
	{"a client of NATS that was closed", fmt.Errorf("publish: %w", errors.New("nats: connection closed")), mending, drops},

	{"gRPC OK", grpcError(0), retries, drops},
	{"gRPC Canceled", grpcError(1), retries, retries},
	{"gRPC Unknown", grpcError(2), retries, drops},
	{"gRPC InvalidArgument", grpcError(3), drops, drops},
	{"gRPC DeadlineExceeded", grpcError(4), retries, retries},
	{"gRPC NotFound", grpcError(5), mending, drops},
	{"gRPC AlreadyExists", grpcError(6), retries, drops},
	{"gRPC PermissionDenied", grpcError(7), mending, drops},
	{"gRPC ResourceExhausted", grpcError(8), retries, drops},
	{"gRPC ResourceExhausted with RetryInfo", grpcError(8, "text", nil, &retryInfo{7e9}), after(7), after(7)},
	{"gRPC FailedPrecondition", grpcError(9, &retryInfo{7e9}), after(7), drops},
	{"gRPC Aborted", grpcError(10), retries, retries},
	{"gRPC OutOfRange", grpcError(11), retries, retries},
	{"gRPC Unimplemented", grpcError(12), mending, drops},
	{"gRPC Internal", grpcError(13), retries, drops},
	{"gRPC Unavailable", grpcError(14), retries, retries},
	{"gRPC Unavailable with RetryInfo", grpcError(14, &retryInfo{7e9}), after(7), after(7)},
	{"gRPC Unavailable with a negative RetryInfo", grpcError(14, &retryInfo{-1e9}), retries, retries},
	{"gRPC DataLoss", grpcError(15), retries, retries},
	{"gRPC Unauthenticated", grpcError(16), mending, drops},
	{"an unknown code of gRPC", grpcError(99), retries, drops},
	{"gRPC without a status", &statusError{}, retries, drops},

	{"a server's limit", said(8, "grpc: received message larger than max (5000000 vs. 4194304)"), splits, drops},
	{"a server's limit, unzipped", said(8, "grpc: received message after decompression larger than max 4194304"), splits, drops},
	{"a client's limit", said(8, "trying to send message larger than max (9 vs. 8)"), splits, drops},
	{"a quota", said(8, "Quota exceeded for quota metric 'Requests'"), retries, drops},
	{"a memory limiter", said(8, "data refused due to high memory usage"), retries, drops},
	{"a rate limit", said(8, "the request has been rejected because the tenant exceeded the request rate limit"), retries, drops},
	{"an invalid size", said(3, "the request message is too large"), splits, drops},
	{"what gRPC cannot encode", said(13, "grpc: error while marshaling: string field contains invalid UTF-8"), drops, drops},
	{"a server that is unwell", said(14, "the request is too large for me today"), retries, retries},

	{"HTTP 400", overHTTP("400 Bad Request", "(empty)"), drops, drops},
	{"HTTP 400 for the size", overHTTP("400 Bad Request", "http: request body too large"), splits, drops},
	{"HTTP 401", overHTTP("401 Unauthorized", "(empty)"), mending, drops},
	{"HTTP 403", overHTTP("403 Forbidden", "(empty)"), mending, drops},
	{"HTTP 404", overHTTP("404 Not Found", "404 page not found"), mending, drops},
	{"HTTP 405", overHTTP("405 Method Not Allowed", "(empty)"), mending, drops},
	{"HTTP 407", overHTTP("407 Proxy Authentication Required", "(empty)"), mending, drops},
	{"HTTP 408", overHTTP("408 Request Timeout", "(empty)"), retries, drops},
	{"HTTP 413", overHTTP("413 Request Entity Too Large", "(empty)"), splits, drops},
	{"HTTP 422", overHTTP("422 Unprocessable Entity", "(empty)"), drops, drops},
	{"HTTP 500", overHTTP("500 Internal Server Error", "(empty)"), retries, drops},
	{"HTTP 501", overHTTP("501 Not Implemented", "(empty)"), mending, drops},
	{"HTTP 500 whose body has other statuses", overHTTP("500 Internal Server Error",
		"failed to send metrics to http://x: 413 Request Entity Too Large (body: : 400 Bad)"), retries, drops},
	{"a status without a reason", overHTTP("401 ", "(empty)"), mending, drops},
	{"the exporter's limit", errors.New("request body too large: exceeded 67108864 bytes"), splits, drops},
	{"the exporter's limit, over gRPC", errors.New("request message too large: exceeded 67108864 bytes"), splits, drops},
	{"the exporter's limit of the response", errors.New("response body too large: exceeded 4194304 bytes"), retries, drops},
	{"NATS", errors.New("nats: maximum payload exceeded"), splits, drops},
	{"a stream", errors.New("nats: API error: code=400 err_code=10054 description=message size exceeds maximum allowed"), splits, drops},
	{"Mimir", said(8, "the incoming push request has been rejected because its message size of 9 bytes is larger than the allowed limit"), splits, drops},
	{"a deadline in words", errors.New("request failed: context deadline exceeded"), retries, drops},
}

func TestErrorsAreOfFourClasses(t *testing.T) {
	for _, test := range classified {
		assert.Equal(t, test.queue, asyncmetric.DefaultClassify(test.err), "%s: %v", test.name, test.err)
		assert.Equal(t, test.spec, asyncmetric.ClassifyOTLP(test.err), "%s, to OTLP: %v", test.name, test.err)
	}
}

// Exporters that make several requests for one Export join their errors.
func TestTheOrderOfJoinedErrorsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var errs []error
		for range rapid.IntRange(1, 5).Draw(t, "errors") {
			errs = append(errs, classified[rapid.IntRange(0, len(classified)-1).Draw(t, "error")].err)
		}
		shuffled := rapid.Permutation(errs).Draw(t, "order")
		nested := shuffled[0]
		for _, err := range shuffled[1:] {
			if rapid.Bool().Draw(t, "left") {
				nested = errors.Join(nested, err)
			} else {
				nested = fmt.Errorf("and: %w", errors.Join(err, nested))
			}
		}
		for name, classify := range map[string]func(error) asyncmetric.Verdict{
			"queue": asyncmetric.DefaultClassify, "OTLP": asyncmetric.ClassifyOTLP,
		} {
			assert.Equal(t, classify(errors.Join(errs...)), classify(nested), "%s: %v", name, errs)
		}
	})
}

func TestTheMostHopefulOfJoinedErrorsDecides(t *testing.T) {
	bad, large := grpcError(3), overHTTP("413 Request Entity Too Large", "")
	for _, passing := range []error{grpcError(14), io.EOF, context.DeadlineExceeded} {
		assert.Equal(t, retries, asyncmetric.DefaultClassify(errors.Join(bad, passing, large)))
		assert.Equal(t, retries, asyncmetric.DefaultClassify(errors.Join(passing, bad)))
	}
	assert.Equal(t, splits, asyncmetric.DefaultClassify(errors.Join(bad, large)))
	assert.Equal(t, drops, asyncmetric.DefaultClassify(errors.Join(errors.New("export failed"), bad)), "a description says nothing")
	assert.Equal(t, after(7), asyncmetric.DefaultClassify(errors.Join(grpcError(14, &retryInfo{3e9}), grpcError(14, &retryInfo{7e9}))))
	assert.Equal(t, retries, asyncmetric.DefaultClassify(errors.Join(grpcError(16), grpcError(14))), "not all is refused")
	rejected := &asyncmetric.RejectedError{Points: 1, Err: bad}
	assert.Equal(t, retries, asyncmetric.DefaultClassify(errors.Join(rejected, grpcError(14))), "what a rejection wraps is no verdict")
}

func TestStatusOfReadsTheStatusOutOfAnError(t *testing.T) {
	for _, test := range []struct {
		err  error
		want asyncmetric.ErrorStatus
	}{
		{grpcError(7), asyncmetric.ErrorStatus{GRPC: 7}},
		{overHTTP("401 Unauthorized", "403"), asyncmetric.ErrorStatus{HTTP: 401}},
		{errors.Join(grpcError(3), grpcError(14)), asyncmetric.ErrorStatus{GRPC: 14}},
		{errors.New("401 Unauthorized"), asyncmetric.ErrorStatus{}},
		{overHTTP("many words", ""), asyncmetric.ErrorStatus{}},
		{panicky{}, asyncmetric.ErrorStatus{}},
		{(*hostile)(nil), asyncmetric.ErrorStatus{}},
		{nil, asyncmetric.ErrorStatus{}},
	} {
		got, ok := asyncmetric.StatusOf(test.err)
		assert.Equal(t, test.want, got)
		assert.Equal(t, test.want != asyncmetric.ErrorStatus{}, ok)
	}
}

// misleading has methods and names that look right and are not.
type misleading struct{ RejectedItems string }

func (misleading) Error() string { return "misleading" }

func (misleading) GRPCStatus(int) (int, bool) { return 0, false }

type retryableError struct{ Throttle string }

func (retryableError) Error() string { return "not that of otlpmetrichttp" }

func TestDefaultClassifyIsNotMisled(t *testing.T) {
	for _, err := range []error{misleading{}, &misleading{}, retryableError{}, &retryableError{}} {
		assert.Equal(t, asyncmetric.Verdict{Action: asyncmetric.ActionRetry}, asyncmetric.DefaultClassify(err), "%T", err)
	}
}
