package integration

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/asyncmetric/asyncmetric"
)

// A setup is how asyncmetric is configured.
type setup struct {
	name        string
	replicas    int // besides the first exporter
	options     []asyncmetric.Option
	merges      bool
	coalesces   bool // does so in an outage
	temporality sdkmetric.TemporalitySelector
	resource    *resource.Resource
}

// identity is a resource for which Prometheus makes no series target_info: that
// has all attributes but these.
var identity = resource.NewSchemaless(
	attribute.String("service.name", "shop"), attribute.String("service.instance.id", "1"))

// A pipeline leads from a shop, through the SDK, asyncmetric and real OTLP
// exporters, to a front.
type pipeline struct {
	t        *testing.T
	shop     *shop
	provider *sdkmetric.MeterProvider
	exporter *asyncmetric.Exporter
	reports  record
	worked   int
	history  history
}

// openPipeline does not let time decide when the reader collects: collect does.
func openPipeline(t *testing.T, f *front, s setup, timeout time.Duration) *pipeline {
	return openPipelineWithInterval(t, f, s, timeout, time.Hour)
}

func openPipelineWithInterval(t *testing.T, f *front, s setup, timeout, interval time.Duration) *pipeline {
	p := &pipeline{t: t}
	options := append(p.reports.options(),
		asyncmetric.WithExportTimeout(timeout), asyncmetric.WithDrainTimeout(time.Minute),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond, MaxInterval: 5 * time.Millisecond}))
	for range s.replicas {
		options = append(options, asyncmetric.WithReplicas(f.exporter(s)))
	}
	var err error
	p.exporter, err = asyncmetric.New(f.exporter(s), append(options, s.options...)...)
	require.NoError(t, err)
	if s.resource == nil {
		s.resource = identity
	}
	p.provider = sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(s.resource), sdkmetric.WithView(durationView()),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(
			&collector{Exporter: p.exporter}, sdkmetric.WithInterval(interval))))
	p.shop = openShop(t, p.provider)
	return p
}

// exporter returns a real one that sends to f.
func (f *front) exporter(s setup) sdkmetric.Exporter {
	if s.temporality == nil {
		s.temporality = sdkmetric.CumulativeTemporalitySelector
	}
	transport := &http.Transport{DialContext: f.dial}
	f.t.Cleanup(transport.CloseIdleConnections)
	exporter, err := otlpmetrichttp.New(f.t.Context(),
		otlpmetrichttp.WithEndpoint("prometheus.invalid"), otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithURLPath("/api/v1/otlp/v1/metrics"),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}),
		otlpmetrichttp.WithTemporalitySelector(s.temporality),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: transport}),
	)
	require.NoError(f.t, err)
	return exporter
}

// A collector stands between a reader and asyncmetric. A flush of the reader
// collects, and does not wait for the delivery. Prometheus counts time in
// milliseconds: a collection that begins in the one in which another ended is
// not passed on.
type collector struct {
	*asyncmetric.Exporter

	mu   sync.Mutex
	last time.Time
}

func (c *collector) ForceFlush(context.Context) error { return nil }

func (c *collector) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, last := span(rm)
	if first.UnixMilli() <= c.last.UnixMilli() {
		return nil
	}
	c.last = last
	return c.Exporter.Export(ctx, rm)
}

// collect works a little and has the reader collect that.
func (p *pipeline) collect() {
	p.t.Helper()
	p.collectWith(p.provider.ForceFlush)
}

func (p *pipeline) collectWith(collect func(context.Context) error) {
	p.t.Helper()
	p.worked++
	p.shop.work(p.worked)
	awaitNextMillisecond()
	c := collection{from: time.Now(), counted: p.shop.now()}
	require.NoError(p.t, collect(p.t.Context()))
	c.to = time.Now()
	p.history = append(p.history, c)
	awaitNextMillisecond()
}

// drain returns when all that was collected is delivered.
func (p *pipeline) drain() {
	p.t.Helper()
	require.NoError(p.t, p.exporter.ForceFlush(p.t.Context()))
}

// shutdown collects a last time.
func (p *pipeline) shutdown() { p.collectWith(p.provider.Shutdown) }

// suffer goes through an outage: some collections before, some in the middle of
// it, and one after it.
func (p *pipeline) suffer(f *front, o outage, collections int) {
	p.t.Helper()
	p.collect()
	p.drain()
	p.endure(f, o, collections)
	p.collect()
	p.drain()
}

// endure collects only while there is an outage.
func (p *pipeline) endure(f *front, o outage, collections int) {
	p.t.Helper()
	o.begin(f)
	for range collections {
		p.collect()
	}
	f.awaitFailures(1)
	o.end(f)
}

// awaitNextMillisecond returns when the clock shows another one.
func awaitNextMillisecond() {
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
		runtime.Gosched()
	}
}
