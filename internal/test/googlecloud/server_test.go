//lint:file-ignore SA1019 the exporter is deprecated, and people have it.

package googlecloud

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	mexporter "github.com/GoogleCloudPlatform/opentelemetry-operations-go/exporter/metric"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A server takes time series as Cloud Monitoring does: at most 200 in a request, at
// most one point of each, no point that is not newer than the last one of its
// series, and none that comes too soon after that. It takes what it can of a
// request, and refuses the rest. See
// https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/create
// and https://cloud.google.com/monitoring/quotas.
type server struct {
	monitoringpb.UnimplementedMetricServiceServer

	interval time.Duration // the least between two points of a series

	mu      sync.Mutex
	fault   func(request int) error // of the requests; nil for none
	request int
	series  map[string]*series
	refused []string
}

type series struct {
	end   time.Time // of the last point
	came  time.Time // when it did
	value int64
}

func (s *server) CreateTimeSeries(_ context.Context, req *monitoringpb.CreateTimeSeriesRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request++
	if s.fault != nil {
		if err := s.fault(s.request); err != nil {
			return nil, err
		}
	}
	const most = 200
	if len(req.TimeSeries) > most {
		return nil, status.Errorf(codes.InvalidArgument, "%d time series, and %d are allowed", len(req.TimeSeries), most)
	}
	seen := make(map[string]bool)
	var wrong []string
	for _, ts := range req.TimeSeries {
		key := fmt.Sprint(ts.Metric.Type, ts.Metric.Labels)
		if seen[key] || len(ts.Points) != 1 {
			return nil, status.Errorf(codes.InvalidArgument, "duplicate TimeSeries encountered: %s", key)
		}
		seen[key] = true
		end, last := ts.Points[0].Interval.EndTime.AsTime(), s.series[key]
		switch {
		case last == nil:
			last = &series{}
			s.series[key] = last
		case !end.After(last.end):
			wrong = append(wrong, "points must be written in order: "+key)
			continue
		case time.Since(last.came) < s.interval:
			wrong = append(wrong, "points were written more frequently than the maximum sampling period: "+key)
			continue
		}
		last.end, last.came, last.value = end, time.Now(), ts.Points[0].Value.GetInt64Value()
	}
	if len(wrong) > 0 {
		s.refused = append(s.refused, wrong...)
		return nil, status.Errorf(codes.InvalidArgument, "one or more TimeSeries could not be written: %s", wrong[0])
	}
	return &emptypb.Empty{}, nil
}

// exporter starts the server, and returns an exporter to it.
func (s *server) exporter(t *testing.T) metric.Exporter {
	s.series = make(map[string]*series)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer()
	monitoringpb.RegisterMetricServiceServer(g, s)
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); assert.NoError(t, <-ended) })
	e, err := mexporter.New(mexporter.WithProjectID("p"), mexporter.WithDisableCreateMetricDescriptors(),
		mexporter.WithMonitoringClientOptions(option.WithEndpoint(l.Addr().String()), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))))
	require.NoError(t, err)
	return e
}

func (s *server) fail(fault func(request int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.request = fault, 0
}

// requests returns how many came since fail.
func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.request
}
