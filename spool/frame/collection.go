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

// maxBuffer is how large a slice is kept.
const maxBuffer = 4 << 20

// keep puts a buffer back that has become what data is.
func keep(b *[]byte, data []byte) {
	if cap(data) <= maxBuffer {
		*b = data
		buffers.Put(b)
	}
}

// EncodeCollection returns a new frame with a collection as an OTLP message of
// at most most bytes. Its error is that of [otlp.Append], or [ErrTooLarge]. The
// collection is neither kept nor changed.
func EncodeCollection(rm *metricdata.ResourceMetrics, most int) ([]byte, error) {
	b := buffers.Get().(*[]byte)
	data, err := otlp.Append((*b)[:0], rm)
	defer func() { keep(b, data) }()
	switch {
	case err != nil:
		return nil, err
	case len(data) > most:
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), most)
	}
	return Append(nil, data)
}

// DecodeCollection returns the collection in a frame, if its OTLP message has at
// most most bytes, which must be above 0. The error wraps [ErrCorrupt],
// [ErrVersion] or [ErrTooLarge]. Nothing in the collection refers to the frame.
func DecodeCollection(frame []byte, most int) (*metricdata.ResourceMetrics, error) {
	b := buffers.Get().(*[]byte)
	data, err := Decode((*b)[:0], frame, most)
	defer func() { keep(b, data) }()
	if err != nil {
		return nil, err
	}
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
