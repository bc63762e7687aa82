package backend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options is how a [Backend] behaves. The zero value takes everything at once.
type Options struct {
	// Latency returns how long the backend takes for a request. Nil means no
	// time.
	Latency func() time.Duration
	// Fails reports whether to answer a request with 503. Nil means never.
	Fails func() bool
	// Handler gets the requests. Nil means that they are read and accepted.
	Handler http.Handler
}

// Backend is an OTLP/HTTP server on loopback. Whether it answers a request with
// 503 is decided before anything of it is taken, and what it takes it answers
// before connections are closed, so that nothing is taken whose client is told
// otherwise.
type Backend struct {
	options     Options
	unavailable atomic.Bool
	answered    atomic.Int64

	taking sync.RWMutex // held, for reading, while a request is taken and answered
	down   bool         // connections are closed; guarded by taking

	mu      sync.Mutex
	server  *http.Server // nil while nobody listens
	ended   chan error   // the result of Serve
	address string
}

// Open returns a backend that listens.
func Open(o Options) (*Backend, error) {
	if o.Handler == nil {
		o.Handler = http.HandlerFunc(discard)
	}
	b := &Backend{options: o, address: "127.0.0.1:0"}
	return b, b.Recover()
}

// Endpoint returns host and port.
func (b *Backend) Endpoint() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.address
}

// Answered returns how many requests have been answered by the handler.
func (b *Backend) Answered() int64 { return b.answered.Load() }

// Fail makes it answer 503, and listen if it does not.
func (b *Backend) Fail() error {
	b.unavailable.Store(true)
	return b.listen()
}

// Recover makes it take requests again.
func (b *Backend) Recover() error {
	b.unavailable.Store(false)
	return b.listen()
}

// Refuse makes it close all connections and refuse others. It does not use the
// Shutdown of the server, which waits up to five seconds for connections on which
// nothing has been sent.
func (b *Backend) Refuse() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server == nil {
		return nil
	}
	b.taking.Lock()
	b.down = true
	err := b.server.Close()
	b.taking.Unlock()
	if ended := <-b.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	b.server = nil
	return err
}

// Close ends the backend.
func (b *Backend) Close() error { return b.Refuse() }

// listen opens the port: any free one at first, the same one again later.
func (b *Backend) listen() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", b.address)
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	b.taking.Lock()
	b.down = false
	b.taking.Unlock()
	server, ended := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}, make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	b.server, b.ended, b.address = server, ended, l.Addr().String()
	return nil
}

// ServeHTTP implements [http.Handler].
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.options.Latency != nil {
		time.Sleep(b.options.Latency())
	}
	if b.unavailable.Load() || b.options.Fails != nil && b.options.Fails() {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, "unavailable on purpose", http.StatusServiceUnavailable)
		return
	}
	b.taking.RLock()
	defer b.taking.RUnlock()
	if b.down {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	b.options.Handler.ServeHTTP(w, r)
	_ = http.NewResponseController(w).Flush()
	b.answered.Add(1)
}

func discard(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	accept(w)
}

// accept answers with an empty message, all of it.
func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
