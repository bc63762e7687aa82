package batch

import (
	"hash/maphash"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// AppendSeries appends to ids one id for each data point of rm, in the order of
// the points, and returns the extended slice. Points of the same series have
// equal ids, as the documentation of [Coalesce] defines a series. Ids of
// different series differ, but for an accident of the hash, which is as likely
// as that of two random numbers of 64 bits. The resource has no part in it. An
// aggregation of an unknown kind gets an id that no other point has, and a new
// one in each call.
//
// Ids are valid in this process only. AppendSeries allocates only if ids is too
// short. It does not change rm and may be called concurrently.
func AppendSeries(ids []uint64, rm *metricdata.ResourceMetrics) []uint64 {
	for i := range rm.ScopeMetrics {
		scope := maphash.Comparable(seed, scopeIDOf(&rm.ScopeMetrics[i].Scope))
		metrics := rm.ScopeMetrics[i].Metrics
		for j := range metrics {
			stream := maphash.Comparable(seed, streamInScope{scope, streamIDOf(&metrics[j], 0)})
			ids = kindOf(metrics[j].Data).appendSeries(ids, stream, metrics[j].Data)
		}
	}
	return ids
}

// A streamInScope is a stream together with the hash of its scope.
type streamInScope struct {
	scope  uint64
	stream streamID
}

func (k *aggregation[A, P]) appendSeries(ids []uint64, stream uint64, data metricdata.Aggregation) []uint64 {
	points := k.get(data.(A))
	for i := range points {
		ids = append(ids, seriesID(stream, k.attributes(&points[i]).Equivalent()))
	}
	return ids
}

// seriesID is the id of a series. Both hashes depend on the seed, so an application cannot
// choose attributes whose ids collide.
func seriesID(stream uint64, attributes attribute.Distinct) uint64 {
	return stream ^ maphash.Comparable(seed, attributes)
}

func (k opaque) appendSeries(ids []uint64, stream uint64, _ metricdata.Aggregation) []uint64 {
	for range k.size {
		ids = append(ids, maphash.Comparable(seed, uniqueSeries{stream, unknowns.Add(1)}))
	}
	return ids
}

// A uniqueSeries is the series of an aggregation of an unknown kind.
type uniqueSeries struct{ stream, serial uint64 }

// unknowns counts the aggregations of an unknown kind.
var unknowns atomic.Uint64
