package jetstream

import (
	"errors"
	"fmt"
	"hash/fnv"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// maxData is how many bytes of OTLP one message may hold, uncompressed. To decode
// them takes some 50 times as much memory at worst, for empty elements.
const maxData = 8 << 20

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
	err = p.add(rm, points, maxBytes)
	if err == nil {
		return p, nil
	}
	fits := frame.Expressible(rm)
	left := batch.Points(fits)
	p.records, p.unfit, p.unfitErr = nil, points-left, err
	if left == 0 {
		return p, nil
	}
	return p, p.add(fits, left, maxBytes)
}

// add adds a collection, or halves of halves of it.
func (p *parcel) add(rm *metricdata.ResourceMetrics, points, maxBytes int) error {
	data, err := frame.EncodeCollection(rm, maxData)
	switch {
	case err == nil && len(data) <= maxBytes:
		p.records = append(p.records, record{data: data, points: points})
		return nil
	case err == nil:
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), maxBytes)
	case errors.Is(err, frame.ErrTooLarge):
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	default:
		return err
	}
	if points <= 1 {
		p.unfit += points
		p.unfitErr = err
		return nil
	}
	for part := range batch.Split(rm, (points+1)/2) {
		if err := p.add(part.Copy(nil), part.Points(), maxBytes); err != nil {
			return err
		}
	}
	return nil
}
