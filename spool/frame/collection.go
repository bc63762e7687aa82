package frame

import (
	"fmt"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/otlp"
)

// buffers has pointers to slices for the OTLP message between a collection and
// its frame.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// EncodeCollection returns a new frame with a collection as an OTLP message. Its
// error is that of [otlp.Append], or [ErrTooLarge]. The collection is neither
// kept nor changed.
func EncodeCollection(rm *metricdata.ResourceMetrics) ([]byte, error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	data, err := otlp.Append((*b)[:0], rm)
	if err != nil {
		return nil, err
	}
	*b = data
	return Append(nil, data)
}

// DecodeCollection returns the collection in a frame. The error wraps
// [ErrCorrupt] or [ErrVersion]. Nothing in the collection refers to the frame.
func DecodeCollection(frame []byte) (*metricdata.ResourceMetrics, error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	data, err := Decode((*b)[:0], frame)
	if err != nil {
		return nil, err
	}
	*b = data
	rm, err := otlp.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return rm, nil
}

// Expressible returns a collection with the metrics that OTLP can express,
// where EncodeCollection has failed for all of them together. It shares their
// data with rm, which it does not change.
func Expressible(rm *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
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
	return rest
}
