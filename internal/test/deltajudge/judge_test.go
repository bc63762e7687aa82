package deltajudge

import (
	"context"
	"fmt"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/deltatocumulativeprocessor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/asyncmetric/asyncmetric/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A judge is the processor, with what it says and what it passes on.
type judge struct {
	processor processor.Metrics
	telemetry *metric.ManualReader // what the processor measures of itself
	totals    totals               // the last value of each series
	ends      map[string]pcommon.Timestamp
	overlaps  []string
}

func newJudge(t *testing.T) *judge {
	j := &judge{telemetry: metric.NewManualReader(), totals: make(totals), ends: make(map[string]pcommon.Timestamp)}
	factory := deltatocumulativeprocessor.NewFactory()
	settings := processor.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: component.TelemetrySettings{
		Logger:         zap.NewNop(), // the processor logs nothing
		TracerProvider: nooptrace.NewTracerProvider(),
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(j.telemetry)),
		Resource:       pcommon.NewResource(),
	}}
	next, err := consumer.NewMetrics(j.keep)
	require.NoError(t, err)
	j.processor, err = factory.CreateMetrics(t.Context(), settings, factory.CreateDefaultConfig(), next)
	require.NoError(t, err)
	require.NoError(t, j.processor.Start(t.Context(), nil))
	t.Cleanup(func() { assert.NoError(t, j.processor.Shutdown(context.Background())) })
	return j
}

// hear gives a collection to the processor.
func (j *judge) hear(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	record, err := otlp.Append(nil, rm)
	if err != nil {
		return err
	}
	request := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), record)
	md, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(request)
	if err != nil {
		return err
	}
	eachPoint(md, j.compareTimes)
	return j.processor.ConsumeMetrics(ctx, md)
}

// compareTimes notes a point that begins before the one before it has ended. The
// processor looks at the ends only, but such points count something twice.
func (j *judge) compareTimes(series string, p point) {
	if p.StartTimestamp() < j.ends[series] {
		j.overlaps = append(j.overlaps, fmt.Sprintf("%s: from %v, is at %v", series, p.StartTimestamp(), j.ends[series]))
	}
	j.ends[series] = p.Timestamp()
}

// keep consumes what comes out of the processor.
func (j *judge) keep(_ context.Context, md pmetric.Metrics) error {
	eachPoint(md, func(series string, p point) { j.totals[series] = valuesOf(p) })
	return nil
}

// heard returns how many points the processor was given, and how many of them it
// refused, by reason.
func (j *judge) heard(t *testing.T) (points int64, refused map[string]int64) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, j.telemetry.Collect(t.Context(), &rm))
	refused = make(map[string]int64)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "otelcol_deltatocumulative_datapoints" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				points += p.Value
				if reason, is := p.Attributes.Value("error"); is {
					refused[reason.AsString()] += p.Value
				}
			}
		}
	}
	return points, refused
}

// A point is a data point of any kind.
type point interface {
	Attributes() pcommon.Map
	StartTimestamp() pcommon.Timestamp
	Timestamp() pcommon.Timestamp
}

// eachPoint calls f with each point and the key of its series.
func eachPoint(md pmetric.Metrics, f func(series string, p point)) {
	for _, rm := range md.ResourceMetrics().All() {
		service, _ := rm.Resource().Attributes().Get("service.name")
		for _, scope := range rm.ScopeMetrics().All() {
			for _, m := range scope.Metrics().All() {
				for _, p := range pointsOf(m) {
					customer, _ := p.Attributes().Get("customer")
					f(key(service.Str(), m.Name(), customer.Str()), p)
				}
			}
		}
	}
}

func pointsOf(m pmetric.Metric) (points []point) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			points = append(points, p)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			points = append(points, p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			points = append(points, p)
		}
	}
	return points
}
