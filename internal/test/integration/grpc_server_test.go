package integration

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

// A grpcFault is how an OTLP/gRPC server answers a request that came over one
// of conns.
type grpcFault func(ctx context.Context, conns *listener) (*collectorpb.ExportMetricsServiceResponse, error)

// openGRPC starts an OTLP/gRPC server that has the fault at first. Nil is none.
func openGRPC(t *testing.T, fault grpcFault) endpoint {
	return (&grpcServer{fault: fault, credentials: insecure.NewCredentials()}).open(t)
}

// detourGRPC starts an OTLP/gRPC server that cannot be reached at first.
func detourGRPC(t *testing.T, by detour) endpoint {
	return (&grpcServer{detour: by, credentials: insecure.NewCredentials()}).open(t)
}

// impostorGRPC starts an OTLP/gRPC server in whose place there is another one at
// first, with a certificate that clients do not trust.
func impostorGRPC(t *testing.T) endpoint {
	own := newCertificate(t)
	return (&grpcServer{
		detour:      openImpostor(t),
		credentials: credentials.NewTLS(trusting(own)),
		options:     []grpc.ServerOption{grpc.Creds(credentials.NewServerTLSFromCert(&own))},
	}).open(t)
}

// narrowGRPC starts an OTLP/gRPC server that takes no request with all points.
func narrowGRPC(t *testing.T) endpoint {
	size := func(n int) int {
		record, err := otlp.Append(nil, metrictest.Numbers(n, 1))
		require.NoError(t, err)
		return len(record)
	}
	s := &grpcServer{credentials: insecure.NewCredentials()}
	s.options = []grpc.ServerOption{grpc.MaxRecvMsgSize((size(points/2) + size(points)) / 2)}
	return s.open(t)
}

// A grpcServer is an OTLP/gRPC server.
type grpcServer struct {
	backend     *backend
	fault       grpcFault
	detour      detour
	options     []grpc.ServerOption
	credentials credentials.TransportCredentials // of its clients
}

func (s *grpcServer) open(t *testing.T) endpoint {
	s.backend = newBackend()
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &listener{Listener: bare}
	server := grpc.NewServer(append(s.options, grpc.WaitForHandlers(true))...)
	collectorpb.RegisterMetricsServiceServer(server, &grpcService{backend: s.backend, conns: l, fault: s.fault})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-ended)
	})
	return endpoint{s.backend, func(set settings) (metric.Exporter, error) {
		return s.client(t, l.Addr().String(), set)
	}}
}

func (s *grpcServer) client(t *testing.T, address string, set settings) (metric.Exporter, error) {
	dial := s.backend.dialer(address, s.detour)
	return otlpmetricgrpc.New(t.Context(),
		otlpmetricgrpc.WithEndpoint(address),
		otlpmetricgrpc.WithTLSCredentials(s.credentials),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig(set.retry)),
		otlpmetricgrpc.WithTimeout(set.timeout),
		otlpmetricgrpc.WithDialOption(
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
			// By default, gRPC connects again after a second at the earliest.
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond},
				MinConnectTimeout: time.Minute,
			}),
		),
	)
}

// grpcService is the OTLP metrics service.
type grpcService struct {
	collectorpb.UnimplementedMetricsServiceServer

	backend *backend
	conns   *listener
	fault   grpcFault
}

func (s *grpcService) Export(
	ctx context.Context, req *collectorpb.ExportMetricsServiceRequest,
) (*collectorpb.ExportMetricsServiceResponse, error) {
	if s.fault != nil && s.backend.fails() {
		return s.fault(ctx, s.conns)
	}
	s.backend.take(req)
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// grpcStatus answers with a code and details.
func grpcStatus(code codes.Code, details ...protoadapt.MessageV1) grpcFault {
	s, err := status.New(code, "a fault on purpose").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return func(context.Context, *listener) (*collectorpb.ExportMetricsServiceResponse, error) {
		return nil, s.Err()
	}
}

// grpcPartialSuccess answers with OK and what is not right about the batch.
func grpcPartialSuccess(rejected int64, message string) grpcFault {
	return func(context.Context, *listener) (*collectorpb.ExportMetricsServiceResponse, error) {
		return partialSuccess(rejected, message), nil
	}
}

func partialSuccess(rejected int64, message string) *collectorpb.ExportMetricsServiceResponse {
	return &collectorpb.ExportMetricsServiceResponse{PartialSuccess: &collectorpb.ExportMetricsPartialSuccess{
		RejectedDataPoints: rejected,
		ErrorMessage:       message,
	}}
}

// grpcBroken ends the connection instead of answering, through end.
func grpcBroken(end func(net.Conn)) grpcFault {
	return func(_ context.Context, conns *listener) (*collectorpb.ExportMetricsServiceResponse, error) {
		conns.endAll(end)
		return nil, status.Error(codes.Internal, "nobody can get to see this")
	}
}

// grpcSilence does not answer until the client leaves.
func grpcSilence(ctx context.Context, _ *listener) (*collectorpb.ExportMetricsServiceResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A listener knows its connections.
type listener struct {
	net.Listener

	mu    sync.Mutex
	conns []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

func (l *listener) endAll(end func(net.Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		end(conn)
	}
	l.conns = nil
}
