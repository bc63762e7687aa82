package integration

import (
	"math"
	"net/http"
	"testing"
)

// Beginnings of answers.
const (
	headerBegun    = "HTTP/1.1 200 OK\r\nContent-Le"
	acceptedBegun  = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100\r\n\r\n\x0a\x08"
	throttledBegun = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\ntry"
)

func TestOTLPOverHTTPIsSentAgainAsTheSpecificationSays(t *testing.T) {
	const seconds = "7200" // delay
	for name, tt := range map[string]struct {
		fault httpFault
		want  verdict
	}{
		"400": {httpStatus(http.StatusBadRequest), never},
		"401": {httpStatus(http.StatusUnauthorized), never},
		"403": {httpStatus(http.StatusForbidden), never},
		"404": {httpStatus(http.StatusNotFound), never},
		"408": {httpStatus(http.StatusRequestTimeout), never},
		"413": {httpStatus(http.StatusRequestEntityTooLarge), never},
		"429": {httpStatus(http.StatusTooManyRequests), again},
		"500": {httpStatus(http.StatusInternalServerError), never},
		"502": {httpStatus(http.StatusBadGateway), again},
		"503": {httpStatus(http.StatusServiceUnavailable), again},
		"504": {httpStatus(http.StatusGatewayTimeout), again},

		"429 with a delay": {retryAfter(http.StatusTooManyRequests, seconds), againAfterDelay},
		"502 with a delay": {retryAfter(http.StatusBadGateway, seconds), againAfterDelay},
		"503 with a delay": {retryAfter(http.StatusServiceUnavailable, seconds), againAfterDelay},
		"504 with a delay": {retryAfter(http.StatusGatewayTimeout, seconds), againAfterDelay},
		"500 with a delay": {retryAfter(http.StatusInternalServerError, seconds), never},
		"503 with a date in the past": {
			retryAfter(http.StatusServiceUnavailable, "Mon, 01 Jan 2024 00:00:00 GMT"), again,
		},
		"503 with a date too far away": {
			retryAfter(http.StatusServiceUnavailable, "Fri, 31 Dec 9999 23:59:59 GMT"),
			verdict{retry: true, after: math.MaxInt64},
		},
		"503 with a negative delay":  {retryAfter(http.StatusServiceUnavailable, "-1"), again},
		"503 with a delay in prose":  {retryAfter(http.StatusServiceUnavailable, "soon"), again},
		"connection refused":         {nil, again},
		"reset without an answer":    {httpBroken("", reset), again},
		"closed without an answer":   {httpBroken("", hangUp), again},
		"reset in the header":        {httpBroken(headerBegun, reset), again},
		"closed in the header":       {httpBroken(headerBegun, hangUp), again},
		"reset in the body of 503":   {httpBroken(throttledBegun, reset), again},
		"closed in the body of 503":  {httpBroken(throttledBegun, hangUp), again},
		"200 with a garbled body":    {httpOK([]byte{0xff}), never},
		"200 with half of a message": {httpOK([]byte{0x0a, 0x08}), never},
		"200 with text that is not UTF-8": {
			httpOK([]byte{0x0a, 0x03, 0x12, 0x01, 0xff}), never,
		},
		"partial success":          {httpPartialSuccess(rejected, "too old"), partial},
		"partial success, no text": {httpPartialSuccess(rejected, ""), partial},
		"success with a warning":   {httpPartialSuccess(0, "deprecated"), warning},
		"everything rejected":      {httpPartialSuccess(points, "too old"), never},
		"more rejected than sent":  {httpPartialSuccess(math.MaxInt64, "too old"), never},
	} {
		t.Run(name, func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint { return openHTTP(t, tt.fault) }, tt.want)
		})
	}
}

// The server said 200 and then the connection broke. The exporter's error is
// that of the broken connection and does not tell the status, so this cannot be
// told from a 503 that broke off. The batch is sent again, although the server
// has most likely taken it: at least once, not at most once.
func TestOTLPOverHTTPIsSentAgainWhenTheBodyOf200BreaksOff(t *testing.T) {
	for name, fault := range map[string]httpFault{
		"reset":  httpBroken(acceptedBegun, reset),
		"closed": httpBroken(acceptedBegun, hangUp),
	} {
		t.Run(name, func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint { return openHTTP(t, fault) }, again)
		})
	}
}

func TestOTLPOverHTTPShowsADelayBeyondItsOwnLimit(t *testing.T) {
	testDelayBeyondOwnLimit(t, openHTTP(t, retryAfter(http.StatusServiceUnavailable, "7200")))
}

func TestOTLPOverHTTPIsSentAgainAfterADeadline(t *testing.T) {
	testDeadlines(t, func(t *testing.T) endpoint { return openHTTP(t, httpSilence) })
}
