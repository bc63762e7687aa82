package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/asyncmetric/asyncmetric"
)

// A counting server counts what arrives of a counter, by the attribute i.
type counting struct {
	collectorpb.UnimplementedMetricsServiceServer

	mu       sync.Mutex
	total    map[int64]float64
	requests int

	unauthorized int // how many more requests over HTTP are answered with 401
}

func (c *counting) Export(
	_ context.Context, req *collectorpb.ExportMetricsServiceRequest,
) (*collectorpb.ExportMetricsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	for _, m := range req.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		for _, p := range m.GetSum().GetDataPoints() {
			for _, kv := range p.Attributes {
				if kv.Key == "i" {
					c.total[kv.Value.GetIntValue()] = float64(p.GetAsInt())
				}
			}
		}
	}
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// overHTTP serves it with a limit in bytes for a request.
func (c *counting) overHTTP(t *testing.T, limit int64, opts ...otlpmetrichttp.Option) metric.Exporter {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.unauthorized--; c.unauthorized >= 0 {
			http.Error(w, "the token has expired", http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		req := &collectorpb.ExportMetricsServiceRequest{}
		assert.NoError(t, proto.Unmarshal(body, req))
		_, _ = c.Export(r.Context(), req)
	}))
	t.Cleanup(server.Close)
	e, err := otlpmetrichttp.New(t.Context(), append(opts, otlpmetrichttp.WithEndpointURL(server.URL+"/v1/metrics"),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}),
		otlpmetrichttp.WithHTTPClient(server.Client()))...)
	require.NoError(t, err)
	return e
}

// overGRPC is overHTTP for gRPC.
func (c *counting) overGRPC(t *testing.T, limit int, opts ...otlpmetricgrpc.Option) metric.Exporter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(limit))
	collectorpb.RegisterMetricsServiceServer(server, c)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); assert.NoError(t, <-ended) })
	e, err := otlpmetricgrpc.New(t.Context(), append(opts, otlpmetricgrpc.WithEndpoint(l.Addr().String()),
		otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))...)
	require.NoError(t, err)
	return e
}

// count counts i times with the attribute i, for each i below n, and hands it over.
func count(t *testing.T, e *asyncmetric.Exporter, n int, more ...attribute.KeyValue) error {
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(e, metric.WithInterval(time.Hour))))
	counter, err := provider.Meter("test").Int64Counter("counter")
	require.NoError(t, err)
	for i := range n {
		counter.Add(t.Context(), int64(i), apimetric.WithAttributes(attribute.Int("i", i), attribute.String("route", fmt.Sprintf("/orders/%d", i))))
	}
	if len(more) > 0 {
		counter.Add(t.Context(), 1, apimetric.WithAttributes(more...))
	}
	return provider.Shutdown(t.Context())
}

func TestRequestsFitIntoTheLimitOfAServer(t *testing.T) {
	for _, limit := range []int{2 << 10, 20 << 10} {
		for protocol, open := range map[string]func(*counting) metric.Exporter{
			"HTTP": func(c *counting) metric.Exporter { return c.overHTTP(t, int64(limit)) },
			"gRPC": func(c *counting) metric.Exporter { return c.overGRPC(t, limit) },
		} {
			t.Run(fmt.Sprintf("%s, %d bytes", protocol, limit), func(t *testing.T) {
				c := &counting{total: make(map[int64]float64)}
				r := &record{}
				e, err := asyncmetric.New(open(c), r.options()...)
				require.NoError(t, err)
				require.NoError(t, count(t, e, 1900))
				assert.Len(t, c.total, 1900)
				for i, total := range c.total {
					assert.Equal(t, float64(i), total)
				}
				assert.Empty(t, r.drops)
			})
		}
	}
}

func TestTheLimitOfTheExporterIsASize(t *testing.T) {
	c := &counting{total: make(map[int64]float64)}
	e, err := asyncmetric.New(c.overGRPC(t, 4<<20, otlpmetricgrpc.WithDialOption(
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(5<<10)))))
	require.NoError(t, err)
	require.NoError(t, count(t, e, 500))
	assert.Len(t, c.total, 500)
}

// Protobuf refuses a request with one attribute that is not UTF-8.
func TestAnAttributeThatIsNotUTF8CostsItsPointOnly(t *testing.T) {
	for protocol, open := range map[string]func(*testing.T, *counting) metric.Exporter{
		"HTTP": func(t *testing.T, c *counting) metric.Exporter { return c.overHTTP(t, 1<<20) },
		"gRPC": func(t *testing.T, c *counting) metric.Exporter { return c.overGRPC(t, 1<<20) },
	} {
		for name, bad := range map[string]attribute.KeyValue{
			"value": attribute.String("agent", "caf\xe9"),
			"key":   attribute.Bool("caf\xe9", true),
			"list":  attribute.StringSlice("agents", []string{"ok", "caf\xe9"}),
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				c := &counting{total: make(map[int64]float64)}
				r := &record{}
				e, err := asyncmetric.New(open(t, c), r.options()...)
				require.NoError(t, err)
				assert.ErrorContains(t, count(t, e, 100, bad), "UTF-8")
				assert.Len(t, c.total, 100)
				require.Len(t, r.drops, 1)
				assert.Equal(t, 1, r.drops[0].Points)
				assert.Equal(t, 1, r.drops[0].Attempts)
			})
		}
	}
}

// tokens are credentials whose source fails for some time.
type tokens struct {
	mu   sync.Mutex
	left int // how many more requests get no token
}

func (s *tokens) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left >= 0 {
		return nil, errors.New("the token has expired")
	}
	return map[string]string{"authorization": "Bearer x"}, nil
}

func (*tokens) RequireTransportSecurity() bool { return false }

func TestASourceOfTokensThatFailsCostsNothing(t *testing.T) {
	for protocol, open := range map[string]func(*counting) metric.Exporter{
		"gRPC": func(c *counting) metric.Exporter {
			return c.overGRPC(t, 4<<20, otlpmetricgrpc.WithDialOption(grpc.WithPerRPCCredentials(&tokens{left: 5})))
		},
		"HTTP": func(c *counting) metric.Exporter {
			c.unauthorized = 5
			return c.overHTTP(t, 4<<20)
		},
	} {
		t.Run(protocol, func(t *testing.T) {
			c := &counting{total: make(map[int64]float64)}
			r := &record{}
			e, err := asyncmetric.New(open(c), append(r.options(), asyncmetric.WithRetry(asyncmetric.Retry{
				InitialInterval: time.Millisecond}))...)
			require.NoError(t, err)
			require.NoError(t, count(t, e, 10))
			assert.Len(t, c.total, 10)
			assert.Empty(t, r.drops)
			require.NotEmpty(t, r.errs)
			assert.ErrorContains(t, r.errs[0], "credentials", "the report says what to mend")
		})
	}
}
