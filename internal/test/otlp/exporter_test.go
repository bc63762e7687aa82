package otlp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/internal/otlptest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

// A wiretap is the exporter of OpenTelemetry with a server that keeps what it
// sends.
type wiretap struct {
	exporter metric.Exporter
	body     []byte
	old      bool // it does not send zero thresholds, as before v1.47
}

func newWiretap(t *testing.T) *wiretap {
	w := &wiretap{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var err error
		w.body, err = io.ReadAll(r.Body)
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	exporter, err := otlpmetrichttp.New(t.Context(),
		otlpmetrichttp.WithEndpointURL(server.URL),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, exporter.Shutdown(context.Background())) })
	w.exporter = exporter
	sent := w.sent(t, &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
		Data: metricdata.ExponentialHistogram[int64]{
			Temporality: metricdata.DeltaTemporality,
			DataPoints:  []metricdata.ExponentialHistogramDataPoint[int64]{{ZeroThreshold: 1}},
		},
	}}}}})
	w.old = exponentials(sent)[0].GetZeroThreshold() == 0
	return w
}

// sent returns what the exporter sends for rm.
func (w *wiretap) sent(t require.TestingT, rm *metricdata.ResourceMetrics) *metricspb.ResourceMetrics {
	require.NoError(t, w.exporter.Export(context.Background(), rm))
	request := &collectorpb.ExportMetricsServiceRequest{}
	require.NoError(t, proto.Unmarshal(w.body, request))
	require.Len(t, request.ResourceMetrics, 1)
	return request.ResourceMetrics[0]
}

// exponentials returns the data points of all exponential histograms.
func exponentials(rm *metricspb.ResourceMetrics) (points []*metricspb.ExponentialHistogramDataPoint) {
	for _, scope := range rm.GetScopeMetrics() {
		for _, m := range scope.GetMetrics() {
			points = append(points, m.GetExponentialHistogram().GetDataPoints()...)
		}
	}
	return points
}

// agree checks that Append writes what the exporter sends, and that Decode
// reads it.
func (w *wiretap) agree(t require.TestingT, rm *metricdata.ResourceMetrics) {
	want := w.sent(t, rm)
	got := &metricspb.ResourceMetrics{}
	require.NoError(t, proto.Unmarshal(encoded(t, rm), got))
	if points := exponentials(got); w.old && len(points) == len(exponentials(want)) {
		for i, p := range exponentials(want) {
			p.ZeroThreshold = points[i].GetZeroThreshold()
		}
	}
	if !proto.Equal(want, got) {
		require.Equal(t, want.String(), got.String())
		require.Fail(t, "the messages differ")
	}
	record, err := proto.Marshal(want)
	require.NoError(t, err)
	decoded, err := otlp.Decode(record)
	require.NoError(t, err)
	require.Equal(t, otlptest.Meaning(rm), otlptest.Meaning(decoded))
}

func encoded(t require.TestingT, rm *metricdata.ResourceMetrics) []byte {
	record, err := otlp.Append(nil, rm)
	require.NoError(t, err)
	return record
}

func TestAppendWritesWhatTheExporterSends(t *testing.T) {
	w := newWiretap(t)
	for name, rm := range map[string]*metricdata.ResourceMetrics{
		"empty":      {},
		"mixed":      metrictest.Mixed(3000),
		"numbers":    metrictest.Numbers(300, -1),
		"every kind": metrictest.EveryKind(20),
		"oddities":   otlptest.Oddities(),
	} {
		t.Run(name, func(t *testing.T) {
			w.agree(t, rm)
		})
	}
}

func TestAppendWritesWhatTheExporterSendsForAnything(t *testing.T) {
	w := newWiretap(t)
	rapid.Check(t, func(t *rapid.T) {
		w.agree(t, otlptest.Exportable(t))
	})
}

// The bytes may differ in the order of fields, but are as many.
func TestRecordsAreNoLargerThanThoseOfProto(t *testing.T) {
	for _, rm := range []*metricdata.ResourceMetrics{metrictest.Mixed(3000), metrictest.EveryKind(300), otlptest.Oddities()} {
		record := encoded(t, rm)
		message := &metricspb.ResourceMetrics{}
		require.NoError(t, proto.Unmarshal(record, message))
		assert.Equal(t, proto.Size(message), len(record))
	}
}

func TestARecordInARequestIsWhatACollectorTakes(t *testing.T) {
	rm := metrictest.EveryKind(3)
	request := &collectorpb.ExportMetricsServiceRequest{}
	record := encoded(t, rm)
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), record)
	require.NoError(t, proto.Unmarshal(body, request))
	require.Len(t, request.ResourceMetrics, 1)

	direct := &metricspb.ResourceMetrics{}
	require.NoError(t, proto.Unmarshal(record, direct))
	assert.True(t, proto.Equal(direct, request.ResourceMetrics[0]))
}
