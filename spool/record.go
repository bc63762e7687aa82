package spool

import (
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// buffers has pointers to slices for what encode and decode need in between.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// encode returns the record of a collection.
func encode(rm *metricdata.ResourceMetrics) ([]byte, error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	data, err := otlp.Append((*b)[:0], rm)
	if err != nil {
		return nil, err
	}
	*b = data
	return frame.Append(nil, data)
}

// encodeRest returns what OTLP can express of a collection, metric by metric,
// and the record of it. It returns an error if that is nothing.
func encodeRest(rm *metricdata.ResourceMetrics) (*metricdata.ResourceMetrics, []byte, error) {
	rest := &metricdata.ResourceMetrics{Resource: rm.Resource}
	for _, sm := range rm.ScopeMetrics {
		metrics := slices.DeleteFunc(slices.Clone(sm.Metrics), func(m metricdata.Metrics) bool {
			alone := metricdata.ScopeMetrics{Scope: sm.Scope, Metrics: []metricdata.Metrics{m}}
			_, err := otlp.Append(nil, &metricdata.ResourceMetrics{
				Resource: rm.Resource, ScopeMetrics: []metricdata.ScopeMetrics{alone},
			})
			return err != nil
		})
		if len(metrics) > 0 {
			rest.ScopeMetrics = append(rest.ScopeMetrics, metricdata.ScopeMetrics{Scope: sm.Scope, Metrics: metrics})
		}
	}
	if batch.Points(rest) == 0 {
		rest = rm // for the error
	}
	record, err := encode(rest)
	return rest, record, err
}

// decode returns the collection in a record.
func decode(record []byte) (*metricdata.ResourceMetrics, error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	data, err := frame.Decode((*b)[:0], record)
	if err != nil {
		return nil, err
	}
	*b = data
	rm, err := otlp.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", frame.ErrCorrupt, err)
	}
	return rm, nil
}

// hashResource returns a number that is equal for equal resources.
func hashResource(rm *metricdata.ResourceMetrics) (uint32, error) {
	b, err := otlp.Append(nil, &metricdata.ResourceMetrics{Resource: rm.Resource})
	return crc32.Checksum(b, castagnoli), err
}
