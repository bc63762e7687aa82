package batch_test

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
)

// A collection that is to be kept outlives the reader's memory in a buffer.
func ExampleCopy() {
	points := []metricdata.DataPoint[int64]{{Value: 1}, {Value: 2}}
	collected := &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Metrics: []metricdata.Metrics{{Name: "requests", Data: metricdata.Sum[int64]{DataPoints: points}}},
	}}}

	var buffer batch.Buffer
	kept := batch.Copy(&buffer, collected)
	points[0].Value = 100 // the reader uses its memory again

	sum := kept.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64])
	fmt.Println(buffer.Points(), "points:", sum.DataPoints[0].Value, sum.DataPoints[1].Value)
	// Output: 2 points: 1 2
}

// A backend that takes three points in a request gets five in two.
func ExampleSplit() {
	collected := &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Metrics: []metricdata.Metrics{
			{Name: "requests", Data: metricdata.Sum[int64]{DataPoints: make([]metricdata.DataPoint[int64], 2)}},
			{Name: "load", Data: metricdata.Gauge[float64]{DataPoints: make([]metricdata.DataPoint[float64], 3)}},
		},
	}}}

	var buffer batch.Buffer // serves one part after the other
	for part := range batch.Split(collected, 3) {
		fmt.Println(part.Points(), "points of")
		for _, metric := range part.Copy(&buffer).ScopeMetrics[0].Metrics {
			fmt.Println("-", metric.Name)
		}
	}
	// Output:
	// 3 points of
	// - requests
	// - load
	// 2 points of
	// - load
}

// What was collected in three minutes goes out in one request, with the points
// of each minute.
func ExampleMerge() {
	collected := func(minute int, value int64) *metricdata.ResourceMetrics {
		at := time.Date(2024, 1, 2, 3, minute, 0, 0, time.UTC)
		points := []metricdata.DataPoint[int64]{{Time: at, Value: value}}
		return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
			Metrics: []metricdata.Metrics{{Name: "temperature", Data: metricdata.Gauge[int64]{DataPoints: points}}},
		}}}
	}

	var buffer batch.Buffer
	merged := batch.Merge(&buffer, collected(1, 20), collected(2, 23), collected(3, 21))
	for _, metric := range merged.ScopeMetrics[0].Metrics {
		fmt.Println(metric.Name)
		for _, point := range metric.Data.(metricdata.Gauge[int64]).DataPoints {
			fmt.Println("-", point.Time.Format("15:04"), point.Value)
		}
	}
	fmt.Println("a series repeats:", batch.HasRepeatedSeries(merged))
	// Output:
	// temperature
	// - 03:01 20
	// - 03:02 23
	// - 03:03 21
	// a series repeats: true
}
