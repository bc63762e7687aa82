package outcome

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

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

// otlpHTTPStatus reads the status in an error of otlpmetrichttp, which is only in
// its text: "failed to send metrics to URL: 401 Unauthorized (body: ...)". The URL
// has no space, and what follows the status comes from the server.
func otlpHTTPStatus(err error) (status int, ok bool) {
	text, ok := strings.CutPrefix(contain.Text(err), "failed to send metrics to ")
	if !ok {
		return 0, false
	}
	url, text, ok := strings.Cut(text, ": ")
	if !ok || strings.Contains(url, " ") || len(text) < 4 || text[3] != ' ' {
		return 0, false
	}
	status, failed := strconv.Atoi(text[:3])
	return status, failed == nil && status >= 100
}

// httpMeaning returns what a status means to a queue.
func httpMeaning(status int, err error) Meaning {
	m := Meaning{Class: Away, Status: Status{HTTP: status}}
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		m.Class = Bad
		if saysTooLarge(contain.Text(err)) {
			m.Class = TooLarge
		}
	case http.StatusRequestEntityTooLarge:
		m.Class = TooLarge
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusNotImplemented:
		m.Refused = true
	}
	return m
}
