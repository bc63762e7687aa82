package spool

import (
	"hash/crc32"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// encodeRest returns what OTLP can express of a collection, metric by metric,
// and the record of it. It returns an error if that is nothing.
func encodeRest(rm *metricdata.ResourceMetrics) (*metricdata.ResourceMetrics, []byte, error) {
	rest := frame.Expressible(rm)
	if batch.Points(rest) == 0 {
		rest = rm // for the error
	}
	record, err := frame.EncodeCollection(rest, frame.MaxSize)
	return rest, record, err
}

// hashResource returns a number that is equal for equal resources.
func hashResource(rm *metricdata.ResourceMetrics) (uint32, error) {
	b, err := otlp.Append(nil, &metricdata.ResourceMetrics{Resource: rm.Resource})
	return crc32.Checksum(b, castagnoli), err
}
