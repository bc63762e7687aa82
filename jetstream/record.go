package jetstream

import (
	"fmt"
	"hash/fnv"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// A record is what one message has of a collection.
type record struct {
	data   []byte
	points int
}

// A parcel is a collection that is ready to be published.
type parcel struct {
	records  []record
	resource uint64 // hash
	unfit    int    // data points that had to be left out
	unfitErr error  // why; nil if there are none
}

// pack makes the records of a collection, none of them of more than maxBytes.
func pack(rm *metricdata.ResourceMetrics, maxBytes int) (*parcel, error) {
	p := new(parcel)
	resource, err := otlp.Append(nil, &metricdata.ResourceMetrics{Resource: rm.Resource})
	if err != nil {
		return nil, err
	}
	h := fnv.New64a()
	_, _ = h.Write(resource) // never fails
	p.resource = h.Sum64()
	points := batch.Points(rm)
	data, err := frame.EncodeCollection(rm)
	if err != nil {
		p.unfitErr = err
		rm = frame.Expressible(rm)
		p.unfit = points - batch.Points(rm)
		points -= p.unfit
		if points == 0 {
			return p, nil
		}
		if data, err = frame.EncodeCollection(rm); err != nil {
			return nil, err
		}
	}
	return p, p.add(rm, data, points, maxBytes)
}

// add adds a collection, or halves of halves of it.
func (p *parcel) add(rm *metricdata.ResourceMetrics, data []byte, points, maxBytes int) error {
	switch {
	case len(data) <= maxBytes:
		p.records = append(p.records, record{data: data, points: points})
		return nil
	case points == 1:
		p.unfit++
		p.unfitErr = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), maxBytes)
		return nil
	}
	for part := range batch.Split(rm, (points+1)/2) {
		half := part.Copy(nil)
		data, err := frame.EncodeCollection(half)
		if err != nil {
			return err
		}
		if err := p.add(half, data, part.Points(), maxBytes); err != nil {
			return err
		}
	}
	return nil
}
