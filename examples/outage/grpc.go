package main

import (
	"context"
	"net"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// newGRPCExporter returns the OTLP/gRPC exporter in its default configuration,
// except for what reaching the backend and counting exactly takes. The default
// back-off between connection attempts, 1 s and then 1.6 times more each, is
// short enough for this outage.
func newGRPCExporter(ctx context.Context, endpoint string, retries retries) (sdkmetric.Exporter, error) {
	options := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(endpoint),
		otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector),
	}
	if retries == withoutRetries {
		options = append(options, otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: false}))
	}
	return otlpmetricgrpc.New(ctx, options...)
}

// grpcServer receives OTLP over gRPC.
type grpcServer struct {
	collectorpb.UnimplementedMetricsServiceServer

	backend *backend
	server  *grpc.Server
	ended   chan error // the result of Serve
}

func newGRPCServer(b *backend) server { return &grpcServer{backend: b} }

func (s *grpcServer) serve(l net.Listener) {
	server := grpc.NewServer()
	collectorpb.RegisterMetricsServiceServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	s.server, s.ended = server, ended
}

// close lets answers that are on their way out reach their clients. A hard
// stop could lose the answer to a request that is counted already; its client
// would rightly send it again, and it would count twice. Nothing slow is left
// to wait for, because the backend is down by now.
func (s *grpcServer) close() error {
	s.server.GracefulStop()
	return <-s.ended
}

// Export implements the OTLP metrics service. The answer goes out after it
// returns.
func (s *grpcServer) Export(
	ctx context.Context, req *collectorpb.ExportMetricsServiceRequest,
) (*collectorpb.ExportMetricsServiceResponse, error) {
	if err := s.backend.admit(ctx); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	answer := func() error { return nil }
	if err := s.backend.accept(ctx, req, answer); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return new(collectorpb.ExportMetricsServiceResponse), nil
}
