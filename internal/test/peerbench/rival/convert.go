package rival

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/asyncmetric/asyncmetric/otlp"
)

// resourceMetricsField is the number of that field in the message MetricsData.
const resourceMetricsField = 1

// A Converter turns what the SDK collects into what the Collector works on, by
// way of the bytes that both understand. It is used by one goroutine.
type Converter struct {
	message, data []byte // kept for the next time
	decode        pmetric.ProtoUnmarshaler
}

// Convert returns a copy of rm that shares nothing with it.
func (c *Converter) Convert(rm *metricdata.ResourceMetrics) (pmetric.Metrics, error) {
	var err error
	if c.message, err = otlp.Append(c.message[:0], rm); err != nil {
		return pmetric.Metrics{}, fmt.Errorf("convert: %w", err)
	}
	c.data = protowire.AppendTag(c.data[:0], resourceMetricsField, protowire.BytesType)
	c.data = protowire.AppendBytes(c.data, c.message)
	md, err := c.decode.UnmarshalMetrics(c.data)
	if err != nil {
		return pmetric.Metrics{}, fmt.Errorf("convert: %w", err)
	}
	return md, nil
}

// HelperGiven is the Collector's queue for data that is in its form already, as
// it is in a Collector: it converts the first collection only, and queues that
// one each time. So it must be given the same one.
var HelperGiven = Rival{Name: "exporterhelper, given pdata", Open: openHelperGiven}

func openHelperGiven(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	var converted *pmetric.Metrics
	return newHelper(ctx, s, nil, func(rm *metricdata.ResourceMetrics) (pmetric.Metrics, error) {
		if converted == nil {
			md, err := new(Converter).Convert(rm)
			if err != nil {
				return md, err
			}
			converted = &md
		}
		return *converted, nil
	})
}
