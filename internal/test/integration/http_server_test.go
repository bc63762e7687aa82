package integration

import (
	"context"
	"crypto/tls"
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

// An httpFault is how an OTLP/HTTP server answers.
type httpFault http.HandlerFunc

// openHTTP starts an OTLP/HTTP server that has the fault at first. Nil is none.
func openHTTP(t *testing.T, fault httpFault) endpoint {
	return (&httpServer{t: t, fault: fault}).open()
}

// detourHTTP starts an OTLP/HTTP server that cannot be reached at first.
func detourHTTP(t *testing.T, by detour) endpoint {
	return (&httpServer{t: t, detour: by}).open()
}

// impostorHTTP starts an OTLP/HTTP server in whose place there is another one at
// first, with a certificate that clients do not trust.
func impostorHTTP(t *testing.T) endpoint {
	own := newCertificate(t)
	return (&httpServer{t: t, detour: openImpostor(t), certificate: &own}).open()
}

// An httpServer is an OTLP/HTTP server.
type httpServer struct {
	t           *testing.T
	backend     *backend
	fault       httpFault
	detour      detour
	certificate *tls.Certificate // nil if it does not speak TLS
}

func (s *httpServer) open() endpoint {
	s.backend = newBackend()
	server := httptest.NewUnstartedServer(s)
	transport := &http.Transport{}
	security := otlpmetrichttp.WithInsecure()
	if s.certificate == nil {
		server.Start()
	} else {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*s.certificate}}
		server.StartTLS()
		transport.TLSClientConfig = trusting(*s.certificate)
		security = otlpmetrichttp.WithTLSClientConfig(transport.TLSClientConfig)
	}
	s.t.Cleanup(server.Close)

	address := server.Listener.Addr().String()
	dial := s.backend.dialer(address, s.detour)
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	s.t.Cleanup(transport.CloseIdleConnections)
	return endpoint{s.backend, func(set settings) (metric.Exporter, error) {
		return otlpmetrichttp.New(s.t.Context(),
			otlpmetrichttp.WithEndpoint(address),
			security,
			otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression), // whatever the environment says
			otlpmetrichttp.WithRetry(set.retry),
			// Not the transport that all exporters share, so that no connection stays
			// open beyond the test. The client has the exporter's timeout, too.
			otlpmetrichttp.WithHTTPClient(&http.Client{Transport: transport, Timeout: set.timeout}),
		)
	}}
}

// ServeHTTP implements http.Handler.
func (s *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A connection that is closed before its request was read is reset.
	body, err := io.ReadAll(r.Body)
	assert.NoError(s.t, err)
	if s.fault != nil && s.backend.fails() {
		s.fault(w, r)
		return
	}
	req := &collectorpb.ExportMetricsServiceRequest{}
	assert.NoError(s.t, proto.Unmarshal(body, req))
	s.backend.take(req)
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

// httpFlood answers with a status and more than the exporter reads.
func httpFlood(status int) httpFault {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, flood)
	}
}

// httpSilence does not answer until the client leaves.
func httpSilence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
