package integration

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A trouble is what goes wrong between an exporter and a server, other than a
// status that says so.
type trouble struct {
	name string
	grpc func(*testing.T) endpoint // nil if there is no such thing in this protocol
	http func(*testing.T) endpoint
	want verdict
}

// flood is more than an exporter reads of an answer.
var flood = strings.Repeat("a fault on purpose ", 1<<18)

// Beginnings of answers.
const (
	headerBegun    = "HTTP/1.1 200 OK\r\nContent-Le"
	acceptedBegun  = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100\r\n\r\n\x0a\x08"
	throttledBegun = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\ntry"
)

var troubles = []trouble{
	{"connection refused", grpcBy(refused), httpBy(refused), again},
	{"name not known", grpcBy(unknownHost), httpBy(unknownHost), again},
	{"certificate not trusted", impostorGRPC, impostorHTTP, again},
	{"connection reset without an answer", grpcWith(grpcBroken(reset)), httpWith(httpBroken("", reset)), again},
	{"connection closed without an answer", grpcWith(grpcBroken(hangUp)), httpWith(httpBroken("", hangUp)), again},
	{"connection reset in the header of an answer", nil, httpWith(httpBroken(headerBegun, reset)), again},
	{"connection closed in the header of an answer", nil, httpWith(httpBroken(headerBegun, hangUp)), again},
	{"connection reset in the body of 503", nil, httpWith(httpBroken(throttledBegun, reset)), again},
	{"connection closed in the body of 503", nil, httpWith(httpBroken(throttledBegun, hangUp)), again},
	// The exporter's error is that of the broken connection and does not tell the
	// status, so this cannot be told from a 503 that broke off. The batch is sent
	// again, although the server has most likely taken it: at least once, not at
	// most once.
	{"connection reset in the body of 200", nil, httpWith(httpBroken(acceptedBegun, reset)), again},
	{"connection closed in the body of 200", nil, httpWith(httpBroken(acceptedBegun, hangUp)), again},
	{"no answer in time", silent(grpcWith(grpcSilence)), silent(httpWith(httpSilence)), again},

	{"success with a warning", grpcWith(grpcPartialSuccess(0, "deprecated")), httpWith(httpPartialSuccess(0, "deprecated")), warning},
	{
		"partial success",
		grpcWith(grpcPartialSuccess(rejected, "too old")), httpWith(httpPartialSuccess(rejected, "too old")), partial,
	},
	{"partial success, no text", grpcWith(grpcPartialSuccess(rejected, "")), httpWith(httpPartialSuccess(rejected, "")), partial},
	{
		"partial success, everything rejected",
		grpcWith(grpcPartialSuccess(points, "too old")), httpWith(httpPartialSuccess(points, "too old")), never,
	},
	{
		"partial success, more rejected than sent",
		grpcWith(grpcPartialSuccess(math.MaxInt64, "too old")), httpWith(httpPartialSuccess(math.MaxInt64, "too old")), never,
	},
	{"success, garbled", nil, httpWith(httpOK([]byte{0xff})), never},
	{"success, half of a message", nil, httpWith(httpOK([]byte{0x0a, 0x08})), never},
	{"success, text that is not UTF-8", nil, httpWith(httpOK([]byte{0x0a, 0x03, 0x12, 0x01, 0xff})), never},
	// gRPC says the same of an answer that is too large as of a request.
	{"success, longer than the exporter reads, over gRPC", grpcWith(grpcPartialSuccess(0, flood)), nil, halved},
	{"success, longer than the exporter reads, over HTTP", nil, httpWith(httpFlood(http.StatusOK)), again},
	// otlpmetrichttp reads the body before it looks at the status.
	{"503, longer than the exporter reads", nil, httpWith(httpFlood(http.StatusServiceUnavailable)), again},
	{
		"request larger than the server takes",
		narrowGRPC, httpWith(httpStatus(http.StatusRequestEntityTooLarge)), halved,
	},
}

func TestOTLPIsSentAgainWhereThatMayHelp(t *testing.T) {
	for _, tt := range troubles {
		if tt.grpc != nil {
			t.Run("over gRPC/"+tt.name, func(t *testing.T) { testFault(t, tt.grpc, tt.want) })
		}
		if tt.http != nil {
			t.Run("over HTTP/"+tt.name, func(t *testing.T) { testFault(t, tt.http, tt.want) })
		}
	}
}

func grpcWith(fault grpcFault) func(*testing.T) endpoint {
	return func(t *testing.T) endpoint { return openGRPC(t, fault) }
}

func httpWith(fault httpFault) func(*testing.T) endpoint {
	return func(t *testing.T) endpoint { return openHTTP(t, fault) }
}

func grpcBy(by detour) func(*testing.T) endpoint {
	return func(t *testing.T) endpoint { return detourGRPC(t, by) }
}

func httpBy(by detour) func(*testing.T) endpoint {
	return func(t *testing.T) endpoint { return detourHTTP(t, by) }
}

// silent makes an endpoint misbehave only once, and its exporters give up on it
// soon, though not on a server that answers.
func silent(open func(*testing.T) endpoint) func(*testing.T) endpoint {
	return func(t *testing.T) endpoint {
		server := open(t)
		server.leave(1)
		return endpoint{server.backend, server.withTimeout(500 * time.Millisecond)}
	}
}
