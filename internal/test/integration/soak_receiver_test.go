package integration

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// A receiver is an OTLP server that goes away and comes back, always with the
// same address. What it has taken it keeps in a ledger.
type receiver struct {
	t       *testing.T
	overRPC bool
	address string
	ledger  *ledger
	stop    func() // nil while it is away

	outages, absences int64

	mu      sync.Mutex
	misdeed func() misdeed // of the next request
}

func openReceiver(t *testing.T, overRPC bool) *receiver {
	r := &receiver{t: t, overRPC: overRPC, address: freeAddress(t), ledger: newLedger()}
	r.behave()
	r.listen()
	t.Cleanup(r.leave)
	return r
}

// freeAddress returns one with a port that is not among those that clients get,
// so that none has taken it when the receiver comes back.
func freeAddress(t *testing.T) (address string) {
	require.Eventually(t, func() bool {
		address = fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		l, err := net.Listen("tcp", address)
		return err == nil && l.Close() == nil
	}, time.Minute, time.Millisecond)
	return address
}

// behave ends what is wrong with the receiver.
func (r *receiver) behave() { r.do(func() misdeed { return none }) }

func (r *receiver) do(misdeed func() misdeed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.misdeed = misdeed
}

func (r *receiver) next() misdeed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.misdeed()
}

// listen has the receiver serve.
func (r *receiver) listen() {
	l, err := net.Listen("tcp", r.address)
	switch {
	case !assert.NoError(r.t, err):
	case r.overRPC:
		r.serveGRPC(l)
	default:
		r.serveHTTP(l)
	}
}

// leave ends all connections and the requests under way.
func (r *receiver) leave() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

func (r *receiver) serveHTTP(l net.Listener) {
	server, ended := &http.Server{Handler: r}, make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	r.stop = func() {
		assert.NoError(r.t, server.Close())
		assert.ErrorIs(r.t, <-ended, http.ErrServerClosed)
	}
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the client has left
	}
	misdeed := r.next()
	if misdeed.takes {
		req := &collectorpb.ExportMetricsServiceRequest{}
		assert.NoError(r.t, proto.Unmarshal(body, req))
		r.ledger.take(req)
	}
	if misdeed.http != nil {
		misdeed.http(w, request)
	}
}

func (r *receiver) serveGRPC(bare net.Listener) {
	l, ended := &listener{Listener: bare}, make(chan error, 1)
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	collectorpb.RegisterMetricsServiceServer(server, &soakService{receiver: r, conns: l})
	go func() { ended <- server.Serve(l) }()
	r.stop = func() {
		server.Stop()
		assert.NoError(r.t, <-ended)
	}
}

// soakService is the OTLP metrics service of a receiver.
type soakService struct {
	collectorpb.UnimplementedMetricsServiceServer

	receiver *receiver
	conns    *listener
}

func (s *soakService) Export(
	ctx context.Context, req *collectorpb.ExportMetricsServiceRequest,
) (*collectorpb.ExportMetricsServiceResponse, error) {
	misdeed := s.receiver.next()
	if misdeed.takes {
		s.receiver.ledger.take(req)
	}
	if misdeed.grpc != nil {
		return misdeed.grpc(ctx, s.conns)
	}
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// client returns a new exporter that sends to the receiver.
func (r *receiver) client() (metric.Exporter, error) {
	if r.overRPC {
		server := &grpcServer{backend: newBackend(), credentials: insecure.NewCredentials()}
		return server.client(r.t, r.address, settings{})
	}
	transport := &http.Transport{}
	exporter, err := otlpmetrichttp.New(r.t.Context(),
		otlpmetrichttp.WithEndpoint(r.address), otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: transport}))
	return &tidyClient{exporter, transport}, err
}

// A tidyClient leaves no connections open, as otlpmetrichttp does.
type tidyClient struct {
	metric.Exporter

	transport *http.Transport
}

func (c *tidyClient) Shutdown(ctx context.Context) error {
	defer c.transport.CloseIdleConnections()
	return c.Exporter.Shutdown(ctx)
}
