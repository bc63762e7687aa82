package otlp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

// The rival is the way through the generated types of
// go.opentelemetry.io/proto/otlp: what otlpmetrichttp does until it has the
// bytes to send. Compare them with benchstat -col /op.
func BenchmarkAppend(b *testing.B) {
	forEachShape(b, func(b *testing.B, rm *metricdata.ResourceMetrics, points int) {
		b.Run("op=otlp", func(b *testing.B) {
			var buf []byte
			perPoint(b, points, func() {
				var err error
				buf, err = otlp.Append(buf[:0], rm)
				require.NoError(b, err)
			})
			b.ReportMetric(float64(len(buf))/float64(points), "B/point")
		})
		b.Run("op=proto", func(b *testing.B) {
			exporter, err := otlpmetrichttp.New(b.Context(),
				otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
				otlpmetrichttp.WithHTTPClient(&http.Client{Transport: nowhere{}}))
			require.NoError(b, err)
			perPoint(b, points, func() { require.NoError(b, exporter.Export(context.Background(), rm)) })
		})
	})
}

// The rival, proto.Unmarshal, has only come as far as the generated types.
func BenchmarkDecode(b *testing.B) {
	forEachShape(b, func(b *testing.B, rm *metricdata.ResourceMetrics, points int) {
		record, err := otlp.Append(nil, rm)
		require.NoError(b, err)
		b.Run("op=otlp", func(b *testing.B) {
			perPoint(b, points, func() {
				_, err := otlp.Decode(record)
				require.NoError(b, err)
			})
		})
		b.Run("op=proto", func(b *testing.B) {
			perPoint(b, points, func() { require.NoError(b, proto.Unmarshal(record, &metricspb.ResourceMetrics{})) })
		})
	})
}

func forEachShape(b *testing.B, run func(b *testing.B, rm *metricdata.ResourceMetrics, points int)) {
	for _, shape := range []struct {
		name string
		rm   *metricdata.ResourceMetrics
	}{
		{"mixed", metrictest.Mixed(3000)},
		{"numbers", metrictest.Numbers(3000, 1)},
		{"histograms", metrictest.Histograms(3000)},
	} {
		b.Run(fmt.Sprintf("%s/points=3000", shape.name), func(b *testing.B) { run(b, shape.rm, 3000) })
	}
}

func perPoint(b *testing.B, points int, f func()) {
	f()
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(points), "ns/point")
}

// nowhere is a server that takes everything at once.
type nowhere struct{}

func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(""))}, nil
}
