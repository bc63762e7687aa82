package integration

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// An httpFault is how an OTLP/HTTP server answers. Nil stands for one that
// cannot be reached at all.
type httpFault http.HandlerFunc

// openHTTP starts an OTLP/HTTP server that has the fault at first.
func openHTTP(t *testing.T, fault httpFault) endpoint {
	b := &backend{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A connection that is closed before its request was read is reset.
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		if fault != nil && b.fails() {
			fault(w, r)
			return
		}
		req := &collectorpb.ExportMetricsServiceRequest{}
		assert.NoError(t, proto.Unmarshal(body, req))
		b.take(req)
	}))
	t.Cleanup(server.Close)

	address := server.Listener.Addr().String()
	dial := b.dialer(address, fault == nil)
	// Not the transport that all exporters share, so that no connection stays
	// open beyond the test.
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return endpoint{b, func(s settings) (metric.Exporter, error) {
		return otlpmetrichttp.New(t.Context(),
			otlpmetrichttp.WithEndpoint(address),
			otlpmetrichttp.WithInsecure(),
			otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression), // whatever the environment says
			otlpmetrichttp.WithRetry(s.retry),
			// The client of the exporter has the exporter's timeout, too.
			otlpmetrichttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: s.timeout}),
		)
	}}
}

// httpStatus answers with a status and what else the header is to have.
func httpStatus(status int, header ...string) httpFault {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, "a fault on purpose", status)
	}
}

func retryAfter(status int, value string) httpFault { return httpStatus(status, "Retry-After", value) }

// httpOK answers with 200 and a body that is called protobuf.
func httpOK(body []byte) httpFault {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(body)
	}
}

// httpPartialSuccess answers with 200 and what is not right about the batch.
func httpPartialSuccess(rejected int64, message string) httpFault {
	body, err := proto.Marshal(partialSuccess(rejected, message))
	if err != nil {
		panic(err)
	}
	return httpOK(body)
}

// httpBroken sends only the beginning of an answer and then ends the
// connection, through end.
func httpBroken(beginning string, end func(net.Conn)) httpFault {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, beginning)
		end(conn)
	}
}

// hangUp closes a connection properly, though too early.
func hangUp(conn net.Conn) { _ = conn.Close() }

// httpSilence does not answer until the client leaves.
func httpSilence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
