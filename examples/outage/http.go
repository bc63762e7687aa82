package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// newHTTPExporter returns the OTLP/HTTP exporter in its default configuration,
// except for what reaching the backend and counting exactly takes.
func newHTTPExporter(ctx context.Context, endpoint string, retries retries) (sdkmetric.Exporter, error) {
	options := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpoint(endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector),
	}
	if retries == withoutRetries {
		options = append(options, otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}))
	}
	return otlpmetrichttp.New(ctx, options...)
}

// httpServer receives OTLP over HTTP, as binary protobuf.
type httpServer struct {
	backend *backend
	server  *http.Server
	ended   chan error // the result of Serve
}

func newHTTPServer(b *backend) server { return &httpServer{backend: b} }

func (s *httpServer) serve(l net.Listener) {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	s.server, s.ended = server, ended
}

// close drops all connections at once, as a crash would. That is safe for the
// count: a request whose answer can no longer be sent is not counted.
func (s *httpServer) close() error {
	err := s.server.Close()
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func (s *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, err := readRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err = s.backend.admit(r.Context())
	if err == nil {
		answer := func() error { return writeSuccess(w) }
		err = s.backend.accept(r.Context(), req, answer)
	}
	switch {
	case err == nil:
	case errors.Is(err, errUnavailable):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
}

func readRequest(r *http.Request) (*collectorpb.ExportMetricsServiceRequest, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	req := new(collectorpb.ExportMetricsServiceRequest)
	return req, proto.Unmarshal(body, req)
}

// writeSuccess sends the whole answer before it returns. An empty response
// message has no bytes, and the length that says so makes the flush complete.
func writeSuccess(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return http.NewResponseController(w).Flush()
}
