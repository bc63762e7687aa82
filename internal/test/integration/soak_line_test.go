package integration

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/spool"
)

// A line leads from a reader to a receiver of its own. It can be opened again
// after it was closed.
type line struct {
	setup

	overRPC bool
	durable bool           // its queue is a spool
	spool   []spool.Option // of that

	t        *testing.T
	folder   string
	receiver *receiver
	exporter atomic.Pointer[asyncmetric.Exporter]

	collections atomic.Int64
}

const (
	delta      = false
	cumulative = true
	overHTTP   = false
	overGRPC   = true
)

// soakLines returns the lines of each service of the soak.
//
// Where the queue outlives a restart, what it keeps may have arrived all the
// same. If it were then coalesced with what has not, its sums would count twice,
// and only last values would be right.
func soakLines() [][]*line {
	return [][]*line{
		{
			newLine(setups[0], delta, overHTTP), newLine(setups[1], cumulative, overGRPC),
			newLine(setups[2], delta, overGRPC), newLine(setups[3], delta, overHTTP),
			newLine(setups[4], cumulative, overGRPC), newLine(setups[5], delta, overHTTP),
			newLine(setup{name: "coalescing on disk, merging", options: merging}, delta, overGRPC).durably(small),
		},
		{newLine(setup{name: "on disk, 2 exporters", replicas: 1, options: splitting}, delta, overHTTP).durably()},
		{newLine(setup{name: "coalescing on disk", options: merging}, cumulative, overGRPC).durably(small)},
	}
}

// ample is more time than what is queued in the end takes.
const ample = 10 * time.Minute

// small is the bound of a queue on disk that has room for a few collections.
var small = spool.WithMaxBytes(5000)

func newLine(s setup, cumulative, overRPC bool) *line {
	s.temporality = sdkmetric.DeltaTemporalitySelector
	if cumulative {
		s.temporality = sdkmetric.CumulativeTemporalitySelector
	}
	return &line{setup: s, overRPC: overRPC}
}

func (l *line) durably(options ...spool.Option) *line {
	l.durable, l.spool = true, options
	return l
}

func (l *line) prepare(t *testing.T) {
	l.t, l.folder, l.receiver = t, t.TempDir(), openReceiver(t, l.overRPC)
}

// open returns a new exporter for a reader.
func (l *line) open() (sdkmetric.Exporter, error) {
	options := slices.Concat(l.options, []asyncmetric.Option{
		asyncmetric.WithExportTimeout(impatient),
		asyncmetric.WithRetry(asyncmetric.Retry{InitialInterval: time.Millisecond, MaxInterval: 20 * time.Millisecond}),
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})),
		asyncmetric.WithOnDrop(func(d asyncmetric.Drop) { assert.Fail(l.t, "dropped", "%s: %+v", l.name, d) }),
	})
	var errs []error
	if l.durable {
		queue, err := spool.Open(l.folder, l.spool...)
		options, errs = append(options, asyncmetric.WithQueue(queue)), append(errs, err)
	}
	for range l.replicas {
		replica, err := l.receiver.client()
		options, errs = append(options, asyncmetric.WithReplicas(replica)), append(errs, err)
	}
	inner, err := l.receiver.client()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	e, err := asyncmetric.New(inner, options...)
	l.exporter.Store(e)
	return &soakExporter{e, l}, err
}

// flush reports whether that was possible within the time.
func (l *line) flush(most time.Duration) bool {
	ctx, cancel := context.WithTimeout(l.t.Context(), most)
	defer cancel()
	e := l.exporter.Load()
	before := e.Stats()
	if e.ForceFlush(ctx) != nil {
		return false
	}
	after := e.Stats()
	assert.GreaterOrEqual(l.t, after.Accepted-uint64(after.Queued), before.Accepted, "%s: a flush did not wait", l.name)
	return true
}

// close shuts the exporter down and reports whether it has delivered everything
// within the time.
func (l *line) close(most time.Duration) bool {
	ctx, cancel := context.WithTimeout(l.t.Context(), most)
	defer cancel()
	e := l.exporter.Load()
	err := e.Shutdown(ctx)
	if err == nil {
		assert.Zero(l.t, e.Stats().Queued, l.name)
	}
	return err == nil
}

// assertSteady demands what holds at any instant.
func (l *line) assertSteady() {
	s := l.exporter.Load().Stats()
	assert.Equal(l.t, s.Accepted, s.Exported+s.Coalesced+uint64(s.Queued), l.name)
}

// A soakExporter stands between a reader and the exporter of a line. A flush of
// the reader collects, and does not wait for the delivery, nor does its
// shutdown end that: the line does so.
type soakExporter struct {
	*asyncmetric.Exporter

	line *line
}

func (e *soakExporter) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return e.line.temporality(k)
}

func (e *soakExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	err := e.Exporter.Export(ctx, rm)
	if err == nil {
		e.line.collections.Add(1)
	}
	return err
}

func (e *soakExporter) ForceFlush(context.Context) error { return nil }

func (e *soakExporter) Shutdown(context.Context) error { return nil }
