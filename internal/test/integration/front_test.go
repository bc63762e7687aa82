package integration

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A front is the HTTP server in front of a store. It has an outage when told
// to.
type front struct {
	t     *testing.T
	store *store

	mu       sync.Mutex
	changed  *sync.Cond   // failures
	server   *http.Server // nil while nobody listens
	ended    chan error   // the result of Serve
	address  string
	fault    fault // nil when it is healthy
	failures int   // in this outage
}

func openFront(t *testing.T, s *store) *front {
	f := &front{t: t, store: s}
	f.changed = sync.NewCond(&f.mu)
	f.listen()
	t.Cleanup(f.hangUp)
	return f
}

func (f *front) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	server, ended := &http.Server{Handler: f}, make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server, f.ended, f.address = server, ended, l.Addr().String()
}

// hangUp stops listening, after the requests under way.
func (f *front) hangUp() {
	f.mu.Lock()
	server := f.server
	f.server = nil
	f.mu.Unlock()
	if server == nil {
		return
	}
	assert.NoError(f.t, server.Shutdown(context.Background()))
	assert.ErrorIs(f.t, <-f.ended, http.ErrServerClosed)
}

// dial is how clients reach the front. While nobody listens, it goes to a port
// where nobody ever does.
func (f *front) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	f.mu.Lock()
	address := f.address
	if f.server == nil {
		address = closedPort
		f.fail()
	}
	f.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// fail counts a failure. The caller holds the lock.
func (f *front) fail() {
	f.failures++
	f.changed.Broadcast()
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		f.store.ServeHTTP(w, r)
		return
	}
	fault(f, w, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail()
}

// misbehave sets what is wrong with the front, nil if nothing is.
func (f *front) misbehave(fault fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.failures = fault, 0
}

// awaitFailures returns when the outage has been noticed n times.
func (f *front) awaitFailures(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.failures < n {
		f.changed.Wait()
	}
}

// A fault is what a front does instead of passing a request on.
type fault func(*front, http.ResponseWriter, *http.Request)

func unavailable(_ *front, w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "a fault on purpose", http.StatusServiceUnavailable)
}

// asleep does not answer until the client has left.
func asleep(_ *front, _ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// late stores the request, but the client leaves before the answer.
func late(f *front, _ http.ResponseWriter, r *http.Request) {
	f.storeUnseen(r)
	<-r.Context().Done()
}

// resetEarly resets the connection in the middle of the request.
func resetEarly(_ *front, w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	resetAfter("", w)
}

// resetLate stores the request and resets the connection in the middle of the
// answer.
func resetLate(f *front, w http.ResponseWriter, r *http.Request) {
	f.storeUnseen(r)
	resetAfter(headerBegun, w)
}

func resetAfter(beginning string, w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, beginning)
	reset(conn)
}

// storeUnseen passes a request on, but not the answer.
func (f *front) storeUnseen(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	assert.NoError(f.t, err)
	r = r.Clone(context.WithoutCancel(r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.store.ServeHTTP(httptest.NewRecorder(), r)
}
