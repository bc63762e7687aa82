package otlp

import (
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/encoding/protowire"
)

func appendNumber[N number](e *encoder, p *metricdata.DataPoint[N]) {
	m := e.open(dataPoints, narrow)
	e.times(p.StartTime, p.Time)
	appendValue(e, numberDouble, numberInt, p.Value)
	appendExemplars(e, numberExemplars, p.Exemplars)
	e.attributes(numberAttributes, &p.Attributes, "attributes")
	e.close(m)
}

func appendHistogram[N number](e *encoder, p *metricdata.HistogramDataPoint[N]) {
	m := e.open(dataPoints, middle)
	e.times(p.StartTime, p.Time)
	e.fixed64(histogramCount, p.Count)
	e.alwaysDouble(histogramSum, float64(p.Sum))
	e.packedFixed64s(histogramCounts, p.BucketCounts)
	e.packedDoubles(histogramBounds, p.Bounds)
	appendExemplars(e, histogramExemplars, p.Exemplars)
	e.attributes(histogramAttributes, &p.Attributes, "attributes")
	appendExtrema(e, histogramMin, p.Min)
	appendExtrema(e, histogramMax, p.Max)
	e.close(m)
}

func appendExponential[N number](e *encoder, p *metricdata.ExponentialHistogramDataPoint[N]) {
	m := e.open(dataPoints, middle)
	e.attributes(exponentialAttributes, &p.Attributes, "attributes")
	e.times(p.StartTime, p.Time)
	e.fixed64(exponentialCount, p.Count)
	e.alwaysDouble(exponentialSum, float64(p.Sum))
	e.zigzag(exponentialScale, p.Scale)
	e.fixed64(exponentialZeroCount, p.ZeroCount)
	e.buckets(exponentialPositive, &p.PositiveBucket)
	e.buckets(exponentialNegative, &p.NegativeBucket)
	appendExemplars(e, exponentialExemplars, p.Exemplars)
	appendExtrema(e, exponentialMin, p.Min)
	appendExtrema(e, exponentialMax, p.Max)
	e.double(exponentialZeroThreshold, p.ZeroThreshold)
	e.close(m)
}

func (e *encoder) buckets(num protowire.Number, b *metricdata.ExponentialBucket) {
	m := e.open(num, narrow)
	e.zigzag(bucketsOffset, b.Offset)
	e.packedVarints(bucketsCounts, b.Counts)
	e.close(m)
}

func appendSummary(e *encoder, p *metricdata.SummaryDataPoint) {
	m := e.open(dataPoints, narrow)
	e.times(p.StartTime, p.Time)
	e.fixed64(summaryCount, p.Count)
	e.double(summarySum, p.Sum)
	for _, q := range p.QuantileValues {
		m := e.open(summaryQuantiles, narrow)
		e.double(quantileQuantile, q.Quantile)
		e.double(quantileValue, q.Value)
		e.close(m)
	}
	e.attributes(summaryAttributes, &p.Attributes, "attributes")
	e.close(m)
}

// appendExtrema writes the minimum or maximum if it is defined.
func appendExtrema[N number](e *encoder, num protowire.Number, x metricdata.Extrema[N]) {
	if v, defined := x.Value(); defined {
		e.alwaysDouble(num, float64(v))
	}
}

func appendExemplars[N number](e *encoder, num protowire.Number, exemplars []metricdata.Exemplar[N]) {
	for i := range exemplars {
		x := &exemplars[i]
		m := e.open(num, narrow)
		ns, ok := unixNano(x.Time)
		if !ok {
			e.fail(fmt.Errorf("%w: %v", ErrTime, x.Time), fmt.Sprintf("exemplars[%d].time_unix_nano", i))
		}
		e.fixed64(exemplarTime, ns)
		appendValue(e, exemplarDouble, exemplarInt, x.Value)
		e.bytes(exemplarSpanID, x.SpanID)
		e.bytes(exemplarTraceID, x.TraceID)
		for _, kv := range x.FilteredAttributes {
			e.keyValue(exemplarAttributes, &kv, 0, "exemplars.filtered_attributes")
		}
		e.close(m)
	}
}
