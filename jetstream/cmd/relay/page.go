package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/statusz"
)

// A page serves /healthz and /statusz, in a goroutine that close waits for.
type page struct {
	listener net.Listener
	server   *http.Server
	ended    chan struct{}                // closed when the goroutine has ended
	status   atomic.Pointer[http.Handler] // nil until there is an exporter
}

// servePage begins to serve.
func servePage(address string, r *relay) (*page, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for the status page: %w", err)
	}
	p := &page{listener: l, ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if status := r.conn.Status(); status != nats.CONNECTED {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "the connection to the broker is", status)
			return
		}
		if p.status.Load() == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "waiting for the stream")
			return
		}
		fmt.Fprintln(w, "ok")
	})
	empty := statusz.Handler()
	mux.HandleFunc("/statusz", func(w http.ResponseWriter, req *http.Request) {
		if h := p.status.Load(); h != nil {
			(*h).ServeHTTP(w, req)
			return
		}
		empty.ServeHTTP(w, req)
	})
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		defer close(p.ended)
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.broken <- err
		}
	}()
	return p, nil
}

// show makes the page show an exporter.
func (p *page) show(e *asyncmetric.Exporter) {
	h := statusz.Handler(e)
	p.status.Store(&h)
}

func (p *page) address() string { return p.listener.Addr().String() }

func (p *page) close() error {
	err := p.server.Close()
	<-p.ended
	return err
}
