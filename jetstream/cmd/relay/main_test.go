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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/jetstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func startBroker(t *testing.T, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
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

func TestARelayDeliversWhatWasHandedOver(t *testing.T) {
	received := make(chan struct{}, 100)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/metrics" {
			w.Header().Set("Content-Type", "application/x-protobuf")
			received <- struct{}{}
		}
	}))
	defer backend.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)
	broker := startBroker(t, server.RANDOM_PORT)
	log, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "127.0.0.1:0")
	log.await(t, "delivering")

	conn, err := nats.Connect(broker.ClientURL())
	require.NoError(t, err)
	defer conn.Close()
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	app, err := jetstream.NewExporter(js)
	require.NoError(t, err)
	for i := range int64(3) {
		require.NoError(t, app.Export(t.Context(), metrictest.Numbers(2, i)))
	}
	for range 3 {
		select {
		case <-received:
		case <-time.After(patience):
			require.FailNow(t, "nothing was delivered")
		}
	}
	address := "http://" + log.find("status")["address"].(string)
	code, body := get(t, address+"/healthz")
	assert.Equal(t, http.StatusOK, code, body)
	code, body = get(t, address+"/statusz?format=json")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, `"exporters"`)
	assert.Zero(t, stop())
	log.await(t, "stopped")
}

func TestARelayWaitsForTheBroker(t *testing.T) {
	broker := startBroker(t, server.RANDOM_PORT)
	url := broker.ClientURL()
	broker.Shutdown()
	broker.WaitForShutdown()
	log, stop := startRelay(t, "-nats", url, "-http", "127.0.0.1:0")
	address := "http://" + log.await(t, "status")["address"].(string)
	code, _ := get(t, address+"/healthz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Zero(t, stop())
	assert.NotNil(t, log.find("stopped before the broker was reached"))
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	none := func(string) string { return "" }
	for _, args := range [][]string{{"now"}, {"-unknown"}, {"-drain", "0s"}, {"-tls-cert", "file"}} {
		log := new(journal)
		assert.Equal(t, 2, run(t.Context(), args, none, log), "%v", args)
		assert.NotNil(t, log.find("wrong arguments"))
	}
	log := new(journal)
	assert.Equal(t, 2, run(t.Context(), nil, func(string) string { return "carrier pigeon" }, log))
	assert.Zero(t, run(t.Context(), []string{"-h"}, none, log))
	assert.Equal(t, 1, run(t.Context(), []string{"-stream", "a.b", "-http", ""}, none, log), "what the library refuses")
}
