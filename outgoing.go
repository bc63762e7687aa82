package asyncmetric

import (
	"cmp"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/queue"
)

// An outgoing is a batch on its way: a part of a collection, or several
// collections that become one. It belongs to the sender that has it. A batch
// that is cut becomes several, which inherit what has been seen of it.
type outgoing struct {
	part     batch.Part
	from     int           // the index of the part's first point in its collection
	merged   []queue.Entry // if any, these instead of the part
	position uint64        // of the first collection
	newest   time.Time     // when the collection of the part was accepted

	delays       *backoff.ExponentialBackOff // shared by all parts of a batch
	attempts     int
	first, last  time.Time     // when the first attempt began and the last one ended
	failing      time.Time     // since when attempts fail with errors that are worth another one
	failure      error         // of the last attempt that was worth another one
	result       error         // of the last attempt
	took         time.Duration // by the last attempt
	outOfRange   bool          // the last attempt failed with this code
	unsent       bool          // the last attempt found no connection
	needsMending bool          // the last attempt was refused, and will be until something is mended

	refusal    *refusal // the last refusal as too large of what it is a part of
	bisections *int     // how many more may be made of what it is a part of

	trialState
}

// trialState is what a trial knows of a batch.
type trialState struct {
	suspect bool
	strikes int         // how often it failed directly after something else got through
	tried   int         // the number of the last attempt with it; 0 if there was none
	series  []uint64    // see seriesOf
	joined  []*outgoing // if any, two points of one series that it is made of
	known   bool        // it is a point of a series that was found to be bad
}

// isSuspect reports whether the batch is suspected to be what makes attempts fail.
func (b *outgoing) isSuspect() bool { return b.suspect }

// newOutgoing returns the batch of all that is in entries.
func newOutgoing(entries []queue.Entry) *outgoing {
	first := entries[0]
	if len(entries) > 1 {
		return &outgoing{merged: entries, position: first.Position()}
	}
	return &outgoing{part: batch.Whole(first.Collection()), position: first.Position(), newest: first.Accepted()}
}

func (b *outgoing) points() int {
	points := b.part.Points()
	if b.joined != nil {
		points = len(b.joined)
	}
	for _, entry := range b.merged {
		points += entry.Points()
	}
	return points
}

// copy returns the data in a buffer.
func (b *outgoing) copy(buffer *batch.Buffer) *metricdata.ResourceMetrics {
	if b.merged == nil {
		return b.part.Copy(buffer)
	}
	collections := make([]*metricdata.ResourceMetrics, len(b.merged))
	for i, entry := range b.merged {
		collections[i] = entry.Collection()
	}
	return batch.Merge(buffer, collections...)
}

// cut returns two batches: one of the first n data points at most, or, where
// these are less than the first of several collections, of that, and one of the
// rest. There are more than n data points, and n is at least 1.
func (b *outgoing) cut(n int) (head, tail *outgoing) {
	if b.joined != nil {
		return b.joined[0], b.joined[1]
	}
	h, t := *b, *b
	if b.merged == nil {
		h.part, t.part = b.part.Cut(n)
		t.from = b.from + n
		h.series, t.series = b.cutSeries(n)
		return &h, &t
	}
	first, points := 1, b.merged[0].Points()
	for first < len(b.merged)-1 && points+b.merged[first].Points() <= n {
		points += b.merged[first].Points()
		first++
	}
	h.take(b.merged[:first])
	t.take(b.merged[first:])
	return &h, &t
}

// cutSeries cuts what seriesOf returns, if it has been asked for.
func (b *outgoing) cutSeries(n int) (head, tail []uint64) {
	if b.series == nil {
		return nil, nil
	}
	return b.series[:n:n], b.series[n:]
}

// halves cuts b in the middle.
func (b *outgoing) halves() []*outgoing {
	head, tail := b.cut((b.points() + 1) / 2)
	return []*outgoing{head, tail}
}

// take makes b the batch of entries.
func (b *outgoing) take(entries []queue.Entry) {
	fresh := newOutgoing(entries)
	b.part, b.merged, b.position, b.newest = fresh.part, fresh.merged, fresh.position, fresh.newest
}

// takeInvalid removes the data points that protobuf cannot express, because they
// have text that is not UTF-8, and returns them as a batch; nil if there are
// none. What stays is a copy of its own.
func (b *outgoing) takeInvalid() *outgoing {
	rm := b.copy(new(batch.Buffer))
	invalid := otlp.InvalidUTF8(rm)
	if len(invalid) == 0 {
		return nil
	}
	bad, isBad := *b, make(map[int]bool, len(invalid))
	if b.joined != nil {
		b.part, b.joined = batch.Part{}, nil
		return &bad
	}
	for _, i := range invalid {
		isBad[i] = true
	}
	rest := b.copy(new(batch.Buffer))
	batch.Retain(rm, func(i int) bool { return isBad[i] })
	batch.Retain(rest, func(i int) bool { return !isBad[i] })
	bad.own(rm)
	if b.merged != nil {
		b.newest = b.merged[len(b.merged)-1].Accepted()
	}
	b.own(rest)
	return &bad
}

// own makes b a batch of data that is its own.
func (b *outgoing) own(rm *metricdata.ResourceMetrics) {
	b.part, b.merged, b.series = batch.Whole(rm), nil, nil
}

// expire removes what was accepted before a time, and returns how many data
// points that were.
func (b *outgoing) expire(before time.Time) (points int) {
	if b.merged == nil && b.newest.Before(before) {
		points = b.points()
		b.part, b.joined = batch.Part{}, nil
	}
	left := b.merged
	for len(left) > 0 && left[0].Accepted().Before(before) {
		points += left[0].Points()
		left = left[1:]
	}
	switch {
	case len(left) == 0:
		b.merged = nil
	case len(left) < len(b.merged):
		b.take(left)
	}
	return points
}

// compare says which of two batches has the older data.
func (b *outgoing) compare(other *outgoing) int {
	return cmp.Or(cmp.Compare(b.position, other.position), cmp.Compare(b.from, other.from))
}
