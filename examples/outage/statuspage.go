package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/statusz"
)

// statusPage shows the exporter of the wrapped pipeline in a browser, if the
// command line asks for it. All methods do nothing otherwise.
type statusPage struct {
	listener net.Listener
	server   *http.Server
	ended    chan error // the result of Serve
}

// openStatusPage opens the address; none if it is empty.
func openStatusPage(address string) (*statusPage, error) {
	if address == "" {
		return &statusPage{}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-http: %w", err)
	}
	return &statusPage{listener: l}, nil
}

// serve shows e from now on. Whoever came before has been waiting.
func (p *statusPage) serve(e *asyncmetric.Exporter) {
	if p.listener == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", statusz.Handler(e))
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	p.ended = make(chan error, 1)
	go func() { p.ended <- p.server.Serve(p.listener) }()
}

// announce says where to look.
func (p *statusPage) announce(out io.Writer) {
	if p.listener != nil {
		fmt.Fprintf(out, "status page: http://%s/\n", p.listener.Addr())
	}
}

// close answers those who have asked, unless that takes long.
func (p *statusPage) close() error {
	switch {
	case p.listener == nil:
		return nil
	case p.server == nil:
		return p.listener.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = p.server.Close()
	}
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// loopback gives address the host of this machine if it has none: whoever asks
// for a page to look at does not ask for a public one.
func loopback(address string) (string, error) {
	if address == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("-http %q: want host:port, or :port for this machine only", address)
	}
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}
