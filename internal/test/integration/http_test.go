package integration

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// httpStatuses has what becomes of a batch that is answered with each status,
// alone and with a delay in Retry-After.
var httpStatuses = []struct {
	status       int
	alone, delay verdict
}{
	{http.StatusBadRequest, never, never},
	{http.StatusUnauthorized, again, again},
	{http.StatusForbidden, again, again},
	{http.StatusNotFound, again, again},
	{http.StatusMethodNotAllowed, again, again},
	{http.StatusProxyAuthRequired, again, again},
	{http.StatusRequestTimeout, again, again},
	{http.StatusRequestEntityTooLarge, halved, halved},
	{http.StatusUnprocessableEntity, never, never},
	{http.StatusTooManyRequests, again, againAfterDelay},
	{http.StatusInternalServerError, again, again},
	{http.StatusNotImplemented, again, again},
	{http.StatusBadGateway, again, againAfterDelay},
	{http.StatusServiceUnavailable, again, againAfterDelay},
	{http.StatusGatewayTimeout, again, againAfterDelay},
}

// The values of Retry-After.
var inSeconds = strconv.Itoa(int(delay.Seconds()))

func asDate() string { return time.Now().Add(delay).UTC().Format(http.TimeFormat) }

func TestOTLPOverHTTPIsSentAgainUnlessTheDataIsBad(t *testing.T) {
	for _, tt := range httpStatuses {
		for name, fault := range map[string]httpFault{
			" with a delay": retryAfter(tt.status, inSeconds),
			" with a date":  retryAfter(tt.status, asDate()),
		} {
			t.Run(strconv.Itoa(tt.status)+name, func(t *testing.T) {
				testFault(t, func(t *testing.T) endpoint { return openHTTP(t, fault) }, tt.delay)
			})
		}
		t.Run(strconv.Itoa(tt.status), func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint { return openHTTP(t, httpStatus(tt.status)) }, tt.alone)
		})
	}
}

func TestOTLPOverHTTPIsSentAgainAsRetryAfterSays(t *testing.T) {
	for value, want := range map[string]verdict{
		"Mon, 01 Jan 2024 00:00:00 GMT": again,
		"Fri, 31 Dec 9999 23:59:59 GMT": {retry: true, after: math.MaxInt64},
		"-1":                            again,
		"soon":                          again,
	} {
		t.Run(value, func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint {
				return openHTTP(t, retryAfter(http.StatusServiceUnavailable, value))
			}, want)
		})
	}
}

func TestOTLPOverHTTPShowsADelayBeyondItsOwnLimit(t *testing.T) {
	testDelayBeyondOwnLimit(t, openHTTP(t, retryAfter(http.StatusServiceUnavailable, inSeconds)))
}

func TestOTLPOverHTTPIsSentAgainAfterADeadline(t *testing.T) {
	testDeadlines(t, func(t *testing.T) endpoint { return openHTTP(t, httpSilence) })
}
