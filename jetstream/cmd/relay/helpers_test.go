package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

const patience = 30 * time.Second

// A journal is a log that can be waited for.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// find returns the first line with a message.
func (j *journal) find(message string) map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range bytes.Lines(j.text.Bytes()) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil && fields["msg"] == message {
			return fields
		}
	}
	return nil
}

func (j *journal) await(t *testing.T, message string) map[string]any {
	t.Helper()
	require.Eventually(t, func() bool { return j.find(message) != nil }, patience, 5*time.Millisecond, "%q is not in the log", message)
	return j.find(message)
}

// startRelay runs a relay until stop is called, which returns the exit code.
func startRelay(t *testing.T, args ...string) (log *journal, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log = new(journal)
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, os.Getenv, log) }()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	t.Cleanup(func() { _ = stop() })
	return log, stop
}

func startBroker(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// startBackend starts a backend for OTLP over HTTP, names it in the
// environment, and returns where its requests arrive.
func startBackend(t *testing.T) (requests <-chan struct{}) {
	t.Helper()
	received := make(chan struct{}, 100)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/metrics" {
			w.Header().Set("Content-Type", "application/x-protobuf")
			received <- struct{}{}
		}
	}))
	t.Cleanup(backend.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)
	return received
}

// handOver hands n collections over to a broker.
func handOver(t *testing.T, url string, n int, opts ...nats.Option) {
	t.Helper()
	conn, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	defer conn.Close()
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	app, err := jetstream.NewExporter(js)
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, app.Export(t.Context(), metrictest.Numbers(2, int64(i))))
	}
}

// requireReceived requires that n requests arrive.
func requireReceived(t *testing.T, requests <-chan struct{}, n int) {
	t.Helper()
	for range n {
		select {
		case <-requests:
		case <-time.After(patience):
			require.FailNow(t, "nothing was delivered")
		}
	}
}
