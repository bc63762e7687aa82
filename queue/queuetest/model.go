package queuetest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var modelClaims = []claim{{
	name:   "BehavesLikeASlice",
	demand: "all of it. The random sequence of calls is above; a slice with a few counters does the same, but gives other results.",
	model: func(t *testing.T, k kit) {
		rapid.Check(t, func(rt *rapid.T) { checkModel(t, rt, k) })
	},
}}

// A model is what a queue must do, in the most naive way. It does without
// concurrency: what would wait in the queue is called with an ended context.
type model struct {
	*rapid.T
	kit
	queue queue.Queue
	ctx   context.Context
	bound int // 0: the queue is never full

	waiting  []record
	inFlight []record
	stats    queue.Stats // the four counters, and Last
	next     int64       // value of the next collection
	sealed   bool
}

// A record is a collection in the model.
type record struct {
	points   int
	value    int64
	position uint64
	entry    queue.Entry // once it is in flight
}

func checkModel(t *testing.T, rt *rapid.T, k kit) {
	m := &model{T: rt, kit: k}
	var cancel context.CancelFunc
	m.ctx, cancel = context.WithTimeout(context.Background(), *k.patience)
	defer cancel()

	size := roomy
	if k.exact && slices.Contains([]queue.Overflow{queue.DropOldest, queue.DropNewest, queue.Block}, k.overflow) {
		m.bound = rapid.IntRange(1, 20).Draw(rt, "bound")
		size = m.bound
	}
	m.queue = k.New(t, size, k.overflow)
	defer func() { _ = m.queue.Close() }()
	o := queue.Observer{Dropped: func(queue.Drop) {}, Failed: func(err error) { m.Errorf("Failed: %v", err) }}
	require.NoError(m, m.queue.Start(o), "Start")

	rt.Repeat(map[string]func(*rapid.T){
		"Put":         func(*rapid.T) { m.put(rapid.IntRange(0, 8).Draw(rt, "points")) },
		"PutMany":     func(*rapid.T) { m.put(rapid.IntRange(9, 30).Draw(rt, "points")) },
		"Take":        func(*rapid.T) { m.take() },
		"TakeAgain":   func(*rapid.T) { m.take() }, // as often as something is put in
		"Settle":      func(*rapid.T) { m.settle() },
		"SettleWrong": func(*rapid.T) { m.settleWrongly() },
		"Return":      func(*rapid.T) { m.giveBack() },
		"Seal":        func(*rapid.T) { m.seal() },
		"":            func(*rapid.T) { m.check() },
	})
}

func points(records []record) (sum int) {
	for _, r := range records {
		sum += r.points
	}
	return sum
}

func (m *model) fits(n int) bool {
	return m.bound == 0 || len(m.waiting) == 0 || points(m.waiting)+n <= m.bound
}

func (m *model) put(n int) {
	value := m.next
	m.next++
	ctx, want := m.ctx, error(nil)
	switch {
	case m.sealed:
		want = queue.ErrClosed
	case n == 0 || m.fits(n):
	case m.overflow == queue.Block:
		ctx, want = ended(), context.Canceled
	case m.overflow == queue.DropNewest:
		want = queue.ErrFull
	}
	err := m.queue.Put(ctx, metrictest.Numbers(n, value))
	require.ErrorIs(m, err, want, "Put of %d data points", n)
	if err != nil || n == 0 {
		return
	}
	for !m.fits(n) {
		m.stats.Dropped += uint64(m.waiting[0].points)
		m.waiting = m.waiting[1:]
	}
	last := m.queue.Stats().Last
	require.Greater(m, last, m.stats.Last, "Last after a collection was accepted")
	m.stats.Last = last
	m.stats.Accepted += uint64(n)
	m.waiting = append(m.waiting, record{points: n, value: value, position: last})
}

// take asks for an entry with fewer data points than drawn.
func (m *model) take() {
	limit := queue.Limit{MaxPoints: rapid.IntRange(0, 30).Draw(m.T, "limit")}
	if len(m.waiting) == 0 {
		want := queue.ErrEmpty
		if m.sealed {
			want = queue.ErrClosed
		}
		e, err := m.queue.Take(m.ctx, limit)
		require.ErrorIs(m, err, want, "Take where nothing waits")
		require.Nil(m, e, "an entry and an error from one Take")
		return
	}
	want := m.waiting[0]
	e, err := m.queue.Take(m.ctx, limit)
	for err == queue.ErrEmpty { // it may take a moment to arrive
		m.ready()
		e, err = m.queue.Take(m.ctx, limit)
	}
	if limit.MaxPoints > 0 && limit.MaxPoints < want.points {
		require.ErrorIs(m, err, queue.ErrDeclined, "Take of at most %d data points of %d", limit.MaxPoints, want.points)
		require.Nil(m, e, "an entry and an error from one Take")
		return
	}
	require.NoError(m, err, "Take where %d collections wait", len(m.waiting))
	require.Equal(m, want.points, e.Points(), "Points")
	require.Equal(m, want.position, e.Position(), "Position")
	require.Equal(m, want.value, metrictest.Value(e.Collection()), "Collection")
	want.entry = e
	m.waiting, m.inFlight = m.waiting[1:], append(m.inFlight, want)
}

// ready waits for a signal.
func (m *model) ready() {
	select {
	case <-m.queue.Ready():
	case <-m.ctx.Done():
		m.Fatalf("no signal from Ready; stats: %+v", m.queue.Stats())
	}
}

// draw returns the index of one of the entries in flight.
func (m *model) draw() int {
	if len(m.inFlight) == 0 {
		m.Skip("nothing is in flight")
	}
	return rapid.IntRange(0, len(m.inFlight)-1).Draw(m.T, "entry")
}

func (m *model) settle() {
	i := m.draw()
	r := m.inFlight[i]
	exported := rapid.IntRange(0, r.points).Draw(m.T, "exported")
	o := queue.Outcome{Exported: exported, Dropped: r.points - exported}
	require.NoError(m, r.entry.Settle(o), "Settle")
	m.inFlight = slices.Delete(m.inFlight, i, i+1)
	m.stats.Exported += uint64(exported)
	m.stats.Dropped += uint64(r.points - exported)
}

func (m *model) settleWrongly() {
	r := m.inFlight[m.draw()]
	exported := rapid.IntRange(-1, r.points+1).Draw(m.T, "exported")
	dropped := rapid.IntRange(-1, r.points+1).Draw(m.T, "dropped")
	if exported >= 0 && dropped >= 0 && exported+dropped == r.points {
		m.Skip("the numbers are right")
	}
	o := queue.Outcome{Exported: exported, Dropped: dropped}
	require.Error(m, r.entry.Settle(o), "Settle with wrong numbers")
}

func (m *model) giveBack() {
	i := m.draw()
	r := m.inFlight[i]
	require.NoError(m, r.entry.Return(), "Return")
	m.inFlight = slices.Delete(m.inFlight, i, i+1)
	at, _ := slices.BinarySearchFunc(m.waiting, r, func(a, b record) int { return cmp.Compare(a.position, b.position) })
	m.waiting = slices.Insert(m.waiting, at, r)
}

func (m *model) seal() {
	if rapid.IntRange(0, 9).Draw(m.T, "seal at 0") == 0 {
		m.queue.Seal()
		m.sealed = true
	}
}

func (m *model) check() {
	want := m.stats
	want.InFlight = points(m.inFlight)
	want.Queued = want.InFlight + points(m.waiting)
	want.Collections = len(m.inFlight) + len(m.waiting)
	for _, r := range slices.Concat(m.inFlight, m.waiting) {
		if want.First == 0 || r.position < want.First {
			want.First = r.position
		}
	}
	stats := m.queue.Stats()
	for stats.First != 0 && stats.First < want.First { // the observer may not have heard of a drop yet
		m.ready()
		stats = m.queue.Stats()
	}
	require.NoError(m, inconsistency(stats))
	stats.Bytes, stats.Oldest = 0, time.Time{} // other claims are about these
	require.Equal(m, want, stats, "Stats")
}
