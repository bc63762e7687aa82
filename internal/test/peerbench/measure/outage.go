package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/workload"
)

// NameHelperLossless is the Collector's queue as its README configures it for
// those who would rather wait than lose.
const NameHelperLossless = "exporterhelper, block_on_overflow, max_elapsed_time 0"

// An Outage is a time in which the backend is not there: it refuses connections
// in the first half, and answers 503 in the second.
type Outage struct {
	Name    string
	Minutes int
	// Room is how many collections may wait.
	Room int
}

// collectionsPerMinute is one each 10 seconds.
const collectionsPerMinute = 6

// outages returns what is played: one that every queue should survive, one that
// is longer than the Collector repeats by default, and one with more data than
// there is room for.
func outages() []Outage {
	return []Outage{
		{Name: "2 minutes", Minutes: 2, Room: 100},
		{Name: "10 minutes", Minutes: 10, Room: 100},
		{Name: "3 minutes, queue of 1 minute", Minutes: 3, Room: collectionsPerMinute},
	}
}

func outageRivals() []rival.Rival {
	return []rival.Rival{
		rival.Async,
		rival.Helper,
		rival.Helper.With(NameHelperLossless, func(s *rival.Settings) {
			s.WhenFull, s.RetryForEver = rival.Wait, true
		}),
		rival.HandWritten,
		rival.Bare,
	}
}

// Outages measures how much of what an application counts arrives in the end,
// with delta temporality, so that what is lost stays lost. All rivals go through
// an outage at the same time, with the same application.
func (p Plan) Outages(ctx context.Context) (*Table, error) {
	rivals := outageRivals()
	var columns []Column
	for _, o := range outages() {
		columns = append(columns, Column{Name: o.Name, Unit: Percent})
	}
	columns = append(columns, Column{Name: "longest hold in any", Unit: Seconds})
	t := emptyTable("outage", "", columns, rivals)
	for i := range p.Repetitions {
		values := make([][]float64, len(rivals))
		longest := make([]float64, len(rivals))
		for _, o := range outages() {
			results, err := p.suffer(ctx, o, rivals)
			if err != nil {
				return nil, fmt.Errorf("outage of %s, repetition %d: %w", o.Name, i, err)
			}
			for r, result := range results {
				values[r] = append(values[r], result.arrived)
				longest[r] = max(longest[r], result.longest.Seconds())
			}
		}
		for r := range rivals {
			t.add(rivals[r].Name, append(values[r], longest[r])...)
		}
	}
	return t, nil
}

// suffered is what one rival made of an outage.
type suffered struct {
	arrived float64 // of what was counted, in percent
	longest time.Duration
}

// suffer plays an outage with a minute before and after it.
func (p Plan) suffer(ctx context.Context, o Outage, rivals []rival.Rival) (results []suffered, err error) {
	lines, err := p.openLines(ctx, o, rivals)
	defer func() { err = errors.Join(err, closeLines(lines)) }()
	if err != nil {
		return nil, err
	}
	var readers []sdkmetric.Reader
	for _, l := range lines {
		readers = append(readers, l.reader)
	}
	app, err := workload.NewApplication(readers...)
	if err != nil {
		return nil, err
	}
	app.Start()
	err = p.play(o, lines)
	counted := app.Stop()
	if err != nil {
		return nil, errors.Join(err, app.Shutdown(ctx))
	}
	p.settle(ctx, lines, counted)
	_ = app.Shutdown(ctx) // what cannot be delivered is what is measured
	for _, l := range lines {
		results = append(results, suffered{
			arrived: 100 * float64(l.counter.Received().Sum()) / float64(counted.Sum()),
			longest: l.watch.longest(),
		})
	}
	return results, nil
}

// play has all backends go through the outage.
func (p Plan) play(o Outage, lines []*line) error {
	half := time.Duration(o.Minutes) * p.Minute / 2
	time.Sleep(p.Minute)
	err := forEach(lines, func(l *line) error { return l.backend.Refuse() })
	time.Sleep(half)
	err = errors.Join(err, forEach(lines, func(l *line) error { return l.backend.Fail() }))
	time.Sleep(half)
	err = errors.Join(err, forEach(lines, func(l *line) error { return l.backend.Recover() }))
	time.Sleep(p.Minute)
	return err
}

// settle returns when everything that was counted has arrived everywhere, or
// when nothing more has for three minutes, longer than any back-off.
func (p Plan) settle(ctx context.Context, lines []*line, counted workload.Totals) {
	_ = forEach(lines, func(l *line) error { return l.reader.ForceFlush(ctx) })
	arrived := func() (sum int64) {
		for _, l := range lines {
			sum += l.counter.Received().Sum()
		}
		return sum
	}
	for last, since := arrived(), time.Now(); time.Since(since) < 3*p.Minute; time.Sleep(p.Minute / 20) {
		if now := arrived(); now != last {
			last, since = now, time.Now()
		}
		if last >= counted.Sum()*int64(len(lines)) {
			return
		}
	}
}
