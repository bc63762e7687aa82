package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// backend receives OTLP over HTTP and adds up the counters. It answers 503
// until it recovers.
type backend struct {
	address string
	server  *http.Server
	ended   chan error // the result of Serve

	mu  sync.Mutex
	up  bool
	sum int64
}

func newBackend() (*backend, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	b := &backend{address: l.Addr().String(), ended: make(chan error, 1)}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() { b.ended <- b.server.Serve(l) }()
	return b, nil
}

func (b *backend) close() error {
	err := b.server.Close()
	if ended := <-b.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func (b *backend) recover() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up = true
}

func (b *backend) received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	req := new(collectorpb.ExportMetricsServiceRequest)
	if err = errors.Join(err, proto.Unmarshal(body, req)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !b.accept(req) {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// accept adds up the increments, if the backend is up.
func (b *backend) accept(req *collectorpb.ExportMetricsServiceRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.up {
		return false
	}
	for _, resource := range req.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				for _, point := range metric.GetSum().GetDataPoints() {
					b.sum += point.GetAsInt()
				}
			}
		}
	}
	return true
}
