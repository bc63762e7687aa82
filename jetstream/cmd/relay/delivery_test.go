package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
)

func TestARelayDeliversWhatWasHandedOver(t *testing.T) {
	requests := startBackend(t)
	broker := startBroker(t, nil)
	log, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "127.0.0.1:0")
	log.await(t, "delivering")
	handOver(t, broker.ClientURL(), 3)
	requireReceived(t, requests, 3)
	address := "http://" + log.find("status")["address"].(string)
	code, body := get(t, address+"/healthz")
	assert.Equal(t, http.StatusOK, code, body)
	code, body = get(t, address+"/statusz?format=json")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, `"exporters"`)
	assert.Zero(t, stop())
	log.await(t, "stopped")
}

// metricsService receives OTLP over gRPC.
type metricsService struct {
	collector.UnimplementedMetricsServiceServer
	received chan struct{}
}

func (s metricsService) Export(context.Context, *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	s.received <- struct{}{}
	return new(collector.ExportMetricsServiceResponse), nil
}

func TestARelayDeliversOverGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	received := make(chan struct{}, 100)
	backend := grpc.NewServer()
	collector.RegisterMetricsServiceServer(backend, metricsService{received: received})
	served := make(chan error, 1)
	go func() { served <- backend.Serve(l) }()
	defer func() {
		backend.Stop()
		require.NoError(t, <-served)
	}()
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	broker := startBroker(t, nil)
	log, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "")
	assert.Equal(t, "grpc", log.await(t, "delivering")["protocol"])
	handOver(t, broker.ClientURL(), 3)
	requireReceived(t, received, 3)
	assert.Zero(t, stop())
}

// TestSIGTERMEndsWhatWasBegunAndLeavesTheRest does so to a process.
func TestSIGTERMEndsWhatWasBegunAndLeavesTheRest(t *testing.T) {
	begun, gate := make(chan struct{}, 100), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-gate
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer backend.Close()
	broker := startBroker(t, nil)
	const n = 5
	handOver(t, broker.ClientURL(), n)
	program, err := os.Executable()
	require.NoError(t, err)
	relay := exec.Command(program, "-nats", broker.ClientURL(), "-http", "127.0.0.1:0")
	relay.Env = append(os.Environ(), asRelay+"=1", "OTEL_EXPORTER_OTLP_ENDPOINT="+backend.URL)
	log := new(journal)
	relay.Stderr = log
	require.NoError(t, relay.Start())
	requireReceived(t, begun, 1)
	require.NoError(t, relay.Process.Signal(syscall.SIGTERM))
	log.await(t, "stopping")
	close(gate)
	require.NoError(t, relay.Wait(), "the exit code")
	assert.NotNil(t, log.find("stopped"))
	assert.Empty(t, begun, "no other collection was begun")
	for line := range bytes.Lines(log.text.Bytes()) {
		assert.NotContains(t, string(line), `"level":"ERROR"`)
	}

	requests := startBackend(t)
	_, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "")
	requireReceived(t, requests, n-1)
	assert.Zero(t, stop())
	assert.Empty(t, requests, "nothing was delivered twice")
}
