// Package receiver stands for a backend in examples: it receives OTLP on
// loopback and remembers what was counted.
package receiver

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A Receiver is a backend. Its methods may be called concurrently.
type Receiver struct {
	// Endpoint is the host and the port that it listens on.
	Endpoint string

	close func()

	mu       sync.Mutex
	down     bool
	sums     map[string]int64
	requests int
	paths    map[string]bool
	deltas   bool
}

func newReceiver() *Receiver {
	return &Receiver{sums: make(map[string]int64), paths: make(map[string]bool)}
}

// NewHTTP returns one that speaks OTLP over HTTP, on any path. It panics if it
// cannot listen, as httptest.NewServer does.
func NewHTTP() *Receiver {
	r := newReceiver()
	server := httptest.NewServer(http.HandlerFunc(r.serveHTTP))
	r.Endpoint, r.close = server.Listener.Addr().String(), server.Close
	return r
}

// NewGRPC returns one that speaks OTLP over gRPC. It panics if it cannot listen.
func NewGRPC() *Receiver {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	r := newReceiver()
	server := grpc.NewServer()
	collectorpb.RegisterMetricsServiceServer(server, grpcService{receiver: r})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with GracefulStop
	}()
	r.Endpoint = l.Addr().String()
	r.close = func() {
		server.GracefulStop()
		<-ended
	}
	return r
}

// Close ends it, and waits for the requests under way.
func (r *Receiver) Close() { r.close() }

// SetDown makes it refuse what comes, with 503 or Unavailable, or take it again.
func (r *Receiver) SetDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// Sum returns what has been counted by a counter. Of cumulative ones it is the
// latest value, of deltas their sum.
func (r *Receiver) Sum(counter string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sums[counter]
}

// Requests returns how many requests it has taken.
func (r *Receiver) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// OnlyPath reports whether each request that it has taken came to this path.
func (r *Receiver) OnlyPath(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.paths) == 1 && r.paths[path]
}

// SawDeltas reports whether data of delta temporality has come.
func (r *Receiver) SawDeltas() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deltas
}

// take takes a request, and reports false if the receiver is down.
func (r *Receiver) take(path string, request *collectorpb.ExportMetricsServiceRequest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return false
	}
	r.requests++
	r.paths[path] = true
	for _, resource := range request.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				r.add(metric)
			}
		}
	}
	return true
}

// add adds up a counter. The caller holds the lock.
func (r *Receiver) add(metric *metricspb.Metric) {
	sum := metric.GetSum()
	var of int64 // all series of the counter
	for _, point := range sum.GetDataPoints() {
		of += point.GetAsInt()
	}
	if sum.GetAggregationTemporality() == metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA {
		r.deltas = true
		of += r.sums[metric.GetName()]
	}
	r.sums[metric.GetName()] = of
}

func (r *Receiver) serveHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	message := new(collectorpb.ExportMetricsServiceRequest)
	if err := proto.Unmarshal(body, message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !r.take(req.URL.Path, message) {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

type grpcService struct {
	collectorpb.UnimplementedMetricsServiceServer

	receiver *Receiver
}

func (s grpcService) Export(
	_ context.Context, message *collectorpb.ExportMetricsServiceRequest,
) (*collectorpb.ExportMetricsServiceResponse, error) {
	if !s.receiver.take("", message) {
		return nil, status.Error(codes.Unavailable, "down")
	}
	return new(collectorpb.ExportMetricsServiceResponse), nil
}
