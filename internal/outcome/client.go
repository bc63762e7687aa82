package outcome

import (
	"context"
	"io"
	"net"
	"reflect"
	"regexp"
	"strings"
	"syscall"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

// isTransient recognises what fails between here and the server, without what err
// wraps.
func isTransient(err error) bool {
	if _, ok := err.(net.Error); ok && !isErrno(err) {
		return true
	}
	for _, target := range []error{
		context.DeadlineExceeded,
		io.EOF, io.ErrUnexpectedEOF,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if is(err, target) {
			return true
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

// isOfDialling recognises that there was no connection.
func isOfDialling(err error) bool {
	switch e := err.(type) {
	case *net.OpError:
		return e.Op == "dial"
	case *net.DNSError:
		return true
	}
	return is(err, syscall.ECONNREFUSED)
}

// isOfEncoding recognises what exporters and protobuf say of data that they cannot
// encode, and of an answer that they cannot decode, whose request the server has
// accepted.
func isOfEncoding(err error) bool {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasSuffix(t.PkgPath(), "google.golang.org/protobuf/internal/errors") ||
		strings.Contains(t.PkgPath(), "/otlpmetric") && strings.HasSuffix(t.PkgPath(), "/internal/transform")
}

// isClosed recognises an exporter or a client that has been shut down.
func isClosed(err error) bool {
	if err == metric.ErrExporterShutdown {
		return true
	}
	switch contain.Text(err) {
	case "gRPC exporter is shutdown", "HTTP exporter is shutdown", "exporter is shutdown", "nats: connection closed":
		return true
	}
	return false
}

// classOfText returns what the text of an error of an unknown kind says.
func classOfText(text string) Class {
	switch {
	case saysTooLarge(text):
		return TooLarge
	case strings.Contains(text, "invalid UTF-8"):
		return Bad
	}
	return Unknown
}

var (
	// tooLarge is what servers and clients say of a request that is too large.
	tooLarge = regexp.MustCompile(`(?i)` +
		`\b(messages?|request|body|payload|entity|content|batch|packet)\b.{0,60}\b(too (large|big)|larger than)\b|` +
		`\btoo (large|big) (a )?(message|request|body|payload|entity|batch|packet|packed request)\b|` +
		`\b(payload|(message|request|body|batch) size)\b.{0,40}\bexceed`)

	// notTooLarge is in texts that say of something else that it is too large.
	notTooLarge = regexp.MustCompile(`(?i)\b(response|quota|rate|memory)\b`)
)

// saysTooLarge reports whether a text says that a request is too large.
func saysTooLarge(text string) bool {
	return tooLarge.MatchString(text) && !notTooLarge.MatchString(text)
}
