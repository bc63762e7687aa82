package batch

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Exemplars returns the number of exemplars in the present collection, as it was
// when the buffer was filled. It takes the same short time for every collection.
func (b *Buffer) Exemplars() int { return b.ints.exemplars.total + b.floats.exemplars.total }

// DropExemplars removes all exemplars from the present collection, frees their
// memory, and returns how many there were. Bytes is smaller afterwards by all
// that exemplars took, with their attributes and ids. Where there are any,
// DropExemplars looks at every data point.
func (b *Buffer) DropExemplars() int {
	n := b.Exemplars()
	if n == 0 {
		return 0
	}
	for i := range b.collection.ScopeMetrics {
		metrics := b.collection.ScopeMetrics[i].Metrics
		for j := range metrics {
			kindOf(metrics[j].Data).dropExemplars(metrics[j].Data)
		}
	}
	b.ints.exemplars = arena[metricdata.Exemplar[int64]]{}
	b.floats.exemplars = arena[metricdata.Exemplar[float64]]{}
	b.attrs, b.ids = arena[attribute.KeyValue]{}, arena[byte]{} // only exemplars have them
	return n
}

func (k *aggregation[A, P]) dropExemplars(data metricdata.Aggregation) { k.bare(k.get(data.(A))) }

func (opaque) dropExemplars(metricdata.Aggregation) {}

func bareNumbers[N number](points []metricdata.DataPoint[N]) {
	for i := range points {
		bare(&points[i].Exemplars)
	}
}

func bareHistograms[N number](points []metricdata.HistogramDataPoint[N]) {
	for i := range points {
		bare(&points[i].Exemplars)
	}
}

func bareExponentials[N number](points []metricdata.ExponentialHistogramDataPoint[N]) {
	for i := range points {
		bare(&points[i].Exemplars)
	}
}

func bareSummaries([]metricdata.SummaryDataPoint) {}

// bare writes only where it has to, because most points have no exemplars.
func bare[N number](exemplars *[]metricdata.Exemplar[N]) {
	if *exemplars != nil {
		*exemplars = nil
	}
}
