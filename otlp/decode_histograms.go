package otlp

import (
	"bytes"
	"encoding/binary"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protowire"
)

func decodeHistogram(d *decoder, r reader, p *metricdata.HistogramDataPoint[float64]) *DecodeError {
	d.attrs = d.attrs[:0]
	for r.next() {
		switch r.num {
		case pointStart:
			p.StartTime = fromUnixNano(r.val)
		case pointTime:
			p.Time = fromUnixNano(r.val)
		case histogramCount:
			p.Count = r.val
		case histogramSum:
			p.Sum = math.Float64frombits(r.val)
		case histogramCounts:
			p.BucketCounts = d.fixed64s(&r, p.BucketCounts)
		case histogramBounds:
			p.Bounds = d.doubles(&r, p.Bounds)
		case histogramExemplars:
			decodeExemplar(d, &r, &p.Exemplars)
		case histogramAttributes:
			d.attribute(&r)
		case histogramFlags:
			checkFlags(&r)
		case histogramMin:
			p.Min = metricdata.NewExtrema(math.Float64frombits(r.val))
		case histogramMax:
			p.Max = metricdata.NewExtrema(math.Float64frombits(r.val))
		}
	}
	p.Attributes = attribute.NewSet(d.attrs...)
	return r.err
}

func decodeExponential(d *decoder, r reader, p *metricdata.ExponentialHistogramDataPoint[float64]) *DecodeError {
	d.attrs = d.attrs[:0]
	for r.next() {
		switch r.num {
		case exponentialAttributes:
			d.attribute(&r)
		case pointStart:
			p.StartTime = fromUnixNano(r.val)
		case pointTime:
			p.Time = fromUnixNano(r.val)
		case exponentialCount:
			p.Count = r.val
		case exponentialSum:
			p.Sum = math.Float64frombits(r.val)
		case exponentialScale:
			p.Scale = zigzag(r.val)
		case exponentialZeroCount:
			p.ZeroCount = r.val
		case exponentialPositive:
			r.nest(d.buckets(r.sub(&bucketsSchema), &p.PositiveBucket))
		case exponentialNegative:
			r.nest(d.buckets(r.sub(&bucketsSchema), &p.NegativeBucket))
		case exponentialFlags:
			checkFlags(&r)
		case exponentialExemplars:
			decodeExemplar(d, &r, &p.Exemplars)
		case exponentialMin:
			p.Min = metricdata.NewExtrema(math.Float64frombits(r.val))
		case exponentialMax:
			p.Max = metricdata.NewExtrema(math.Float64frombits(r.val))
		case exponentialZeroThreshold:
			p.ZeroThreshold = math.Float64frombits(r.val)
		}
	}
	p.Attributes = attribute.NewSet(d.attrs...)
	return r.err
}

// buckets adds to b, if it had fields before: that is what protobuf says.
func (d *decoder) buckets(r reader, b *metricdata.ExponentialBucket) *DecodeError {
	for r.next() {
		switch r.num {
		case bucketsOffset:
			b.Offset = zigzag(r.val)
		case bucketsCounts:
			b.Counts = d.varints(&r, b.Counts)
		}
	}
	return r.err
}

func decodeSummary(d *decoder, r reader, p *metricdata.SummaryDataPoint) *DecodeError {
	d.attrs = d.attrs[:0]
	for r.next() {
		switch r.num {
		case pointStart:
			p.StartTime = fromUnixNano(r.val)
		case pointTime:
			p.Time = fromUnixNano(r.val)
		case summaryCount:
			p.Count = r.val
		case summarySum:
			p.Sum = math.Float64frombits(r.val)
		case summaryQuantiles:
			if p.QuantileValues == nil {
				p.QuantileValues = make([]metricdata.QuantileValue, 0, r.count())
			}
			i := len(p.QuantileValues)
			p.QuantileValues = p.QuantileValues[:i+1]
			r.nestAt(quantile(r.sub(&quantileSchema), &p.QuantileValues[i]), i)
		case summaryAttributes:
			d.attribute(&r)
		case summaryFlags:
			checkFlags(&r)
		}
	}
	p.Attributes = attribute.NewSet(d.attrs...)
	return r.err
}

func quantile(r reader, q *metricdata.QuantileValue) *DecodeError {
	for r.next() {
		switch r.num {
		case quantileQuantile:
			q.Quantile = math.Float64frombits(r.val)
		case quantileValue:
			q.Value = math.Float64frombits(r.val)
		}
	}
	return r.err
}

func zigzag(v uint64) int32 { return int32(protowire.DecodeZigZag(v & math.MaxUint32)) }

// fixed64s appends the elements in the current field to dst.
func (d *decoder) fixed64s(r *reader, dst []uint64) []uint64 {
	if !r.isPacked() {
		return append(dst, r.val)
	}
	if dst == nil {
		dst = d.take(len(r.raw) / 8)
	}
	for b := r.raw; len(b) > 0; b = b[8:] {
		dst = append(dst, binary.LittleEndian.Uint64(b))
	}
	return dst
}

// varints appends the elements in the current field to dst.
func (d *decoder) varints(r *reader, dst []uint64) []uint64 {
	if !r.isPacked() {
		return append(dst, r.val)
	}
	if dst == nil {
		dst = d.take(countVarints(r.raw))
	}
	for b := r.raw; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			r.fail(protowire.ParseError(n))
			return nil
		}
		dst = append(dst, v)
		b = b[n:]
	}
	return dst
}

// countVarints returns how many varints end in b.
func countVarints(b []byte) int {
	n := 0
	for _, c := range b {
		if c < 0x80 {
			n++
		}
	}
	return n
}

// doubles appends the bounds in the current field to dst. If they are those of
// the last histogram, as is to be expected, they share its memory.
func (d *decoder) doubles(r *reader, dst []float64) []float64 {
	if !r.isPacked() {
		return append(dst, math.Float64frombits(r.val))
	}
	first := dst == nil && len(r.raw) > 0
	if first && bytes.Equal(r.raw, d.boundsRaw) {
		return d.bounds
	}
	if first {
		dst = make([]float64, 0, len(r.raw)/8)
	}
	for b := r.raw; len(b) > 0; b = b[8:] {
		dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	if first {
		d.bounds, d.boundsRaw = dst, r.raw
	}
	return dst
}

// remains is how much of a metric is left to decode.
type remains struct{ points, bytes int }

// take returns an empty slice with memory for n bucket counts; nil if n is 0.
// It takes memory for as many further points at once as there are, if they have
// as many counts as this one: they do not if that is more than is left of the
// input.
func (d *decoder) take(n int) []uint64 {
	if n == 0 {
		return nil
	}
	if n > len(d.counts) {
		d.counts = make([]uint64, n*max(1, min(d.left.points, d.left.bytes/8/n)))
	}
	taken := d.counts[:0:n]
	d.counts = d.counts[n:]
	return taken
}
