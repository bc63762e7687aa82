package coalesce

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestPiecesOfOneCollectionBecomeOneRound(t *testing.T) {
	w := newWorld(t, 100)
	for range 3 {
		w.puts("a", 0, 1)
		w.puts("a", 2, 3)
		w.puts("a", 4)
	}
	var joins int
	for {
		s, _ := w.once(nil)
		if s == nil {
			break
		}
		if j, is := s.(*joining); is {
			require.Len(t, j.from, 3)
			require.Len(t, j.to, 3)
			joins++
		}
	}
	assert.Equal(t, 1, joins, "the newest round may still get more pieces")
	whole := [][]int{{0, 1}, {2, 3}, {4}}
	assert.Equal(t, [][][]int{whole, whole}, w.roundsOf("a"))
	assert.Equal(t, 5, w.effects.Joined)
	assert.Zero(t, w.effects.Dropped)
}

func TestARoundThatSharesASeriesWithTheOneBeforeItStaysApart(t *testing.T) {
	w := newWorld(t, 100)
	w.puts("a", 0, 1)
	w.puts("a", 2, 3)
	w.puts("a", 4, 1) // of the first piece
	w.work()
	assert.Equal(t, [][][]int{{{0, 1}, {2, 3}}, {{4, 1}}}, w.roundsOf("a"))
}

func TestAnUnitedRoundIsMadeOfAsManyAsItsLargestPart(t *testing.T) {
	w := newWorld(t, 100)
	for range 3 {
		w.puts("a", 0)
		w.puts("a", 1)
	}
	w.work()
	var parts []int
	for r := range w.lanes[laneKeyOf(collect("a", 1, 0))].rounds.All() {
		parts = append(parts, r.parts)
	}
	assert.Equal(t, []int{2, 1}, parts)
}

func TestASeriesThatMovesToAnotherPieceStaysInOrder(t *testing.T) {
	w := newWorld(t, 100)
	for range 20 { // requireSound looks at the order after each step
		w.puts("a", 0, 1, stubborn)
		w.puts("a", 2, 3)
		w.puts("a", 1, 2)
		w.puts("a", 3, 0, stubborn)
		w.work()
	}
	assert.Positive(t, w.effects.Joined)
	assert.Zero(t, w.effects.Dropped)
	for of, sum := range w.sums() {
		if stubborn := sum != 40; stubborn {
			assert.Equal(t, int64(-40), sum, "the sum of 40 that overflow: %v", of)
		}
	}
}

func TestPointsThatCannotBeJoinedMoveToTheNewerPiece(t *testing.T) {
	w := newWorld(t, 5)
	w.puts("a", 0, 1, stubborn)
	w.puts("a", stubborn, 0)
	w.admit(w.report("a", 7))
	assert.Equal(t, []string{"a[1000 1000 0]", "a[1]", "a[7]"}, w.names())
}

func TestResourcesNeverShareARoundAndAreNoObstacleToEachOther(t *testing.T) {
	w := newWorld(t, 100)
	for range 4 {
		w.puts("a", 1, 2)
		w.puts("b", 1, 2)
		w.puts("c", 3)
	}
	w.work()
	assert.Equal(t, []string{"a[1 2]", "b[1 2]", "c[3]", "a[1 2]", "b[1 2]", "c[3]"}, w.names())
	assert.Len(t, w.lanes, 3)
	assert.Equal(t, 2*(2+2+1), w.effects.Joined)
}

func TestJoinedDataTakesThePlaceOfItsOldestPart(t *testing.T) {
	w := newWorld(t, 100)
	w.puts("a", 1)
	w.puts("b", 9)
	w.puts("a", 1)
	w.puts("b", 8)
	w.puts("a", 1)
	w.work()
	require.Equal(t, []string{"a[1]", "b[9]", "b[8]", "a[1]"}, w.names())
	p := w.Next()
	assert.Equal(t, uint64(1), p.Position)
	assert.Equal(t, uint64(3), p.Changed)
	assert.Equal(t, minute(1), p.Oldest)
	assert.Equal(t, minute(3), p.Newest)
	position, oldest := w.First()
	assert.Equal(t, uint64(1), position)
	assert.Equal(t, minute(1), oldest)
}

func TestAPieceThatTakesUpSeriesLeavesTheRestWhereItWas(t *testing.T) {
	w := newWorld(t, 100)
	w.puts("a", 1, 2)
	w.puts("b", 9)
	w.puts("a", 2, 3)
	w.puts("a", 2)
	w.work()
	assert.Equal(t, []string{"a[2 3]", "a[1]", "b[9]", "a[2]"}, w.names())
	var changed []uint64
	for p := range w.ages.All() {
		changed = append(changed, p.Changed)
	}
	assert.Equal(t, []uint64{1, 2, 3, 4}, changed, "what is in the rest was not changed")
}

func TestAnEmptyBacklogHasNothing(t *testing.T) {
	w := newWorld(t, 100)
	assert.Nil(t, w.Next())
	assert.Nil(t, w.Step(nil))
	assert.Nil(t, w.Bare())
	position, oldest := w.First()
	assert.Zero(t, position)
	assert.True(t, oldest.IsZero())
	w.puts("a", 1)
	w.work()
	w.end(w.take())
	requireSound(w)
	assert.Zero(t, w.Len()+w.Points()+w.Bytes())
	assert.Empty(t, w.lanes)
}

func TestWhatWasChangedLongestAgoIsDroppedFirstAndInPortions(t *testing.T) {
	w := newWorld(t, 160)
	for i := range 4 {
		w.puts("a", span(100*i, 100*i+40)...)
	}
	in := w.incoming(w.report("a", span(900, 960)...))
	next := 0
	for !w.fits(in.Points, 0) {
		before, oldest := w.Points(), w.ages.Oldest().Points()
		s, e := w.once(in)
		if e.Dropped == 0 {
			continue
		}
		require.IsType(t, &dropping{}, s)
		assert.Equal(t, min(oldest, before/maxPortion), e.Dropped)
		next += e.Dropped
		assert.Equal(t, uint64(1+(next-1)/40), e.Position)
		var left []int
		for p := range w.order.All() {
			left = append(left, seriesIn(p.Data())...)
		}
		all := slices.Concat(span(0, 40), span(100, 140), span(200, 240), span(300, 340))
		require.Equal(t, all[next:], left, "the oldest series go first")
	}
	assert.Zero(t, w.effects.Joined)
	assert.GreaterOrEqual(t, next, 60)
	assert.Less(t, next, 60+160/maxPortion)
}

func TestAPieceThatIsSmallerThanAPortionIsDroppedWhole(t *testing.T) {
	w := newWorld(t, 40)
	w.puts("a", 1)
	w.puts("a", span(10, 49)...)
	e, _ := w.admit(w.report("b", 1))
	assert.Equal(t, 1, e.Dropped)
	assert.Equal(t, uint64(1), e.Position)
}

func TestStableSeriesOutliveThoseThatComeOnce(t *testing.T) {
	const rounds = 60
	w := newWorld(t, 100)
	for i := range rounds {
		w.admit(w.report("a", append(span(1000*i+10_000, 1000*i+10_006), 0, 1)...))
	}
	assert.Positive(t, w.effects.Dropped)
	totals, once := map[int]int64{}, []int{}
	for p := range w.order.All() {
		for _, point := range pointsIn(p.Data()) {
			v, _ := point.Attributes.Value("series")
			if s := int(v.AsInt64()); s < 10 {
				totals[s] += point.Value
			} else {
				once = append(once, s)
			}
		}
	}
	assert.Equal(t, map[int]int64{0: rounds, 1: rounds}, totals, "no total is lost")
	slices.Sort(once)
	all := []int{}
	for i := range rounds {
		all = append(all, span(1000*i+10_000, 1000*i+10_006)...)
	}
	assert.Equal(t, all[len(all)-len(once):], once, "the newest of those that come once are there")
}

// fill lets n collections wait, and works until nothing is left to do.
func fill(t *testing.T, n, bound int, series func(i int) []int) *world {
	w := newWorld(t, bound)
	w.large = true
	for i := range n {
		w.puts("a", series(i)...)
	}
	w.bound = w.Points()
	w.admit(w.report("a", series(n)...))
	return w
}

func TestALaneWhoseSeriesAreAllDifferentIsNotSearched(t *testing.T) {
	for name, series := range map[string]func(i int) []int{
		"none in common": func(i int) []int { return span(100*i+10_000, 100*i+10_004) },
		"few in common": func(i int) []int { // so that there are as many rounds
			return append(span(100*i+10_000, 100*i+10_000+2*worthwhile), i, i+1)
		},
	} {
		var steps []int
		for _, n := range []int{100, 2000} {
			w := fill(t, n, 0, series)
			var most int
			for i := range 5 {
				_, s := w.admit(w.report("a", series(n+1+i)...))
				most = max(most, s)
			}
			steps = append(steps, most)
			requireSound(w)
		}
		assert.Equal(t, steps[0], steps[1], name)
		assert.LessOrEqual(t, steps[0], 50, name)
	}
}

func TestALaneWithFewDuplicatesIsParkedUntilItHasMore(t *testing.T) {
	w := newWorld(t, 1000)
	for i := range 4 {
		w.puts("a", append(span(100*i+10_000, 100*i+10_000+2*worthwhile), 0)...)
	}
	w.work()
	l := w.lanes[laneKeyOf(collect("a", 1, 0))]
	assert.False(t, l.isWorthwhile())
	assert.Equal(t, 4, l.rounds.Len())
	assert.Equal(t, 3, l.parked.Len())
	assert.Empty(t, w.pairs)
	assert.Zero(t, w.effects.Joined)

	w.puts("a", 0, 10_000, 10_001, 10_002)
	w.work()
	assert.False(t, l.isWorthwhile(), "7 of 137")
	assert.Equal(t, 4, l.parked.Len())
	w.puts("a", 0, 10_100, 10_101, 10_102)
	w.work()
	assert.Positive(t, w.effects.Joined, "11 of 141")
}

func TestWorthwhileIsOneDuplicateInSixteenPoints(t *testing.T) {
	l := new(lane)
	assert.False(t, l.isWorthwhile(), "nothing to save")
	l.points, l.table.duplicates = worthwhile, 1
	assert.True(t, l.isWorthwhile())
	l.points++
	assert.False(t, l.isWorthwhile())
}

func TestAPieceThatIsReturnedIsAtItsPlace(t *testing.T) {
	w := newWorld(t, 100)
	for i := range 4 {
		w.puts("a", i)
		w.puts("b", 0)
	}
	names, points, bytes := w.names(), w.Points(), w.Bytes()
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
		var taken []*Piece
		for range order {
			taken = append(taken, w.take())
		}
		for _, i := range order {
			w.giveBack(taken[i])
			requireCounts(w)
			requireOrder(w)
		}
		assert.Equal(t, names, w.names())
		assert.Equal(t, points, w.Points())
		assert.Equal(t, bytes, w.Bytes())
	}
	p := w.take()
	w.giveBack(p)
	q := w.Next()
	assert.NotSame(t, p, q, "the one that was taken does not change")
	assert.Equal(t, []any{p.Buffer, p.Sets, p.Position, p.Changed, p.Oldest, p.Newest},
		[]any{q.Buffer, q.Sets, q.Position, q.Changed, q.Oldest, q.Newest})
}

func TestAReturnedPieceIsJoinedAgainIfNothingThatFollowsItIsInFlight(t *testing.T) {
	for _, test := range []struct {
		name   string
		series [2][]int
		united bool
		order  [2]int
		names  []string
	}{
		{"the newer one first", [2][]int{{1}, {1}}, false, [2]int{1, 0}, []string{"a[1]", "a[1]"}},
		{"the older one first", [2][]int{{1}, {1}}, false, [2]int{0, 1}, []string{"a[1]", "a[1]", "a[1]"}},
		{"both of one round", [2][]int{{1}, {2}}, true, [2]int{0, 1}, []string{"a[2 1]", "a[1]"}},
	} {
		w := newWorld(t, 100)
		first, second := w.puts("a", test.series[0]...), w.puts("a", test.series[1]...)
		if test.united {
			w.work()
		}
		w.take()
		w.take()
		pieces := []*Piece{first, second}
		w.puts("a", 2, 1)
		w.puts("a", 1)
		w.giveBack(pieces[test.order[0]])
		w.giveBack(pieces[test.order[1]])
		w.work()
		if !test.united {
			assert.Len(t, w.names(), len(test.names), test.name)
		}
		apart := 0
		for p := range w.order.All() {
			if p.round == nil {
				apart++
			}
		}
		if test.order[0] == 0 && !test.united {
			assert.Equal(t, 1, apart, test.name)
		} else {
			assert.Zero(t, apart, test.name)
		}
	}
}

func TestExemplarsGoWherePutsChangedTheDataLongestAgoFirst(t *testing.T) {
	w := newWorld(t, 100)
	w.put(withExemplars(w.report("a", 1, 2)))
	w.puts("a", 1)
	w.put(withExemplars(w.report("b", 1)))
	w.put(withExemplars(w.report("b", 1))) // the newest keeps its own
	for _, want := range []int{2, 1} {
		bytes, points := w.Bytes(), w.Points()
		w.step = w.Bare()
		require.NotNil(t, w.step)
		w.pool.working = true
		w.run()
		assert.Equal(t, Effect{Exemplars: want}, w.commit())
		assert.Less(t, w.Bytes(), bytes)
		assert.Equal(t, points, w.Points())
	}
	assert.Nil(t, w.Bare())
}

func TestACollectionLargerThanTheBoundIsJoinedWithItsOwnSeriesAlone(t *testing.T) {
	w := newWorld(t, 5)
	w.puts("a", span(0, 10)...)
	e, _ := w.admit(w.report("a", span(0, 10)...))
	assert.Equal(t, Effect{Joined: 10, Admitted: true}, e)
	assert.Equal(t, []string{"a[0 1 2 3 4 5 6 7 8 9]"}, w.names())
	assert.Equal(t, uint64(1), w.Next().Position)
	assert.Equal(t, uint64(2), w.Next().Changed)
}

func TestACollectionThatFitsWithoutWhatItSharesIsJoinedOnArrival(t *testing.T) {
	w := newWorld(t, 6)
	w.puts("a", 0, 1, 2)
	w.puts("b", 0, 1)
	e, _ := w.admit(w.report("a", 2, 1, 3))
	assert.Equal(t, Effect{Joined: 2, Admitted: true}, e)
	assert.Equal(t, []string{"a[2 1 3]", "a[0]", "b[0 1]"}, w.names())
	p := w.Next()
	assert.Equal(t, []any{uint64(1), uint64(3), minute(1), minute(3)}, []any{p.Position, p.Changed, p.Oldest, p.Newest})
}

func TestASteppedBackClockDoesNotMakeAPieceNewer(t *testing.T) {
	w := newWorld(t, 100)
	w.puts("a", 1)
	w.position = 1
	p := w.puts("a", 1)
	p.Oldest, p.Newest = minute(0), minute(0)
	w.puts("a", 1)
	for s := w.Step(nil); s != nil; s = w.Step(nil) {
		w.pool.working = true
		s.Run(w.pool)
		s.Commit()
		w.pool.ready()
	}
	assert.Equal(t, minute(0), w.Next().Oldest)
	assert.Equal(t, uint64(1), w.Next().Position)
}

// stepsOf gets, for each kind of step, a backlog whose next step it is.
var stepsOf = map[string]func(t *testing.T) (*world, *Incoming){
	"separation": func(t *testing.T) (*world, *Incoming) {
		w := newWorld(t, 100)
		w.puts("a", 1, 2)
		w.once(nil)
		w.puts("a", 2)
		return w, nil
	},
	"survey": func(t *testing.T) (*world, *Incoming) {
		w := newWorld(t, 100)
		for range 4 {
			w.puts("a", 1, 2)
		}
		w.work()
		w.giveBack(w.take())
		w.puts("a", 2)
		w.departed = nil
		return w, nil
	},
	"joining": func(t *testing.T) (*world, *Incoming) {
		w := newWorld(t, 100)
		for range 3 {
			w.puts("a", 1, 2)
			w.puts("a", 3, 4)
			w.puts("b", 1)
		}
		for range 9 {
			w.once(nil)
		}
		return w, nil
	},
	"examination": func(t *testing.T) (*world, *Incoming) {
		w := newWorld(t, 4)
		w.puts("a", 1, 2)
		w.puts("a", 3, 4)
		w.work()
		return w, w.incoming(w.report("b", 1))
	},
	"dropping": func(t *testing.T) (*world, *Incoming) {
		w := newWorld(t, 40)
		w.puts("a", span(0, 38)...)
		w.puts("a", 98, 99)
		w.work()
		in := w.incoming(w.report("b", 1))
		w.once(in)
		return w, in
	},
	"arrival": func(t *testing.T) (*world, *Incoming) {
		w := newWorld(t, 4)
		w.puts("a", 1, 2)
		w.puts("a", 3, 4)
		w.work()
		in := w.incoming(w.report("a", 2, 3, 1))
		w.once(in)
		return w, in
	},
}

func TestAStepThatIsOvertakenChangesNothing(t *testing.T) {
	for name, world := range stepsOf {
		if name == "examination" {
			continue // changes nothing in any case
		}
		for _, overtakeBeforeRun := range []bool{true, false} {
			for _, back := range []bool{true, false} {
				t.Run(fmt.Sprint(name, overtakeBeforeRun, back), func(t *testing.T) {
					w, in := world(t)
					require.True(t, w.begin(in))
					require.Equal(t, "*coalesce."+name, fmt.Sprintf("%T", w.step))
					if !overtakeBeforeRun {
						w.run()
					}
					p := w.take()
					if back {
						w.giveBack(p)
					}
					if overtakeBeforeRun {
						w.run()
					}
					names, points, bytes, position := w.names(), w.Points(), w.bytesOfPieces(), w.position
					assert.Zero(t, w.commit())
					assert.Equal(t, names, w.names())
					assert.Equal(t, points, w.Points())
					assert.Equal(t, bytes, w.bytesOfPieces())
					assert.Equal(t, position, w.position)
					assert.Empty(t, w.pool.lent)
					w.work()
				})
			}
		}
	}
}

func (w *world) bytesOfPieces() (bytes int) {
	for p := range w.ages.All() {
		bytes += p.bytes
	}
	return bytes
}

func TestAStepThatIsStoppedChangesNothing(t *testing.T) {
	for _, name := range []string{"joining"} {
		w, in := stepsOf[name](t)
		names, points, bytes := w.names(), w.Points(), w.Bytes()
		require.True(t, w.begin(in))
		calls := 0
		w.pool.stopped = func() bool { calls++; return calls > 1 }
		w.run()
		assert.Zero(t, w.commit())
		assert.Equal(t, 2, calls)
		assert.Equal(t, names, w.names())
		assert.Equal(t, points, w.Points())
		assert.Equal(t, bytes, w.Bytes())
		assert.Empty(t, w.pool.lent)
	}
}

func TestPairsAreJoinedEvenly(t *testing.T) {
	w := newWorld(t, 20)
	for range 200 {
		w.admit(w.report("a", 0))
		w.admit(w.report("b", 0))
	}
	for _, l := range w.lanes {
		var parts []int
		for r := range l.rounds.All() {
			parts = append(parts, r.parts)
		}
		for i := 1; i < len(parts); i++ {
			assert.LessOrEqual(t, 2*(parts[i-1]+parts[i]), 2*4*400/20*2)
		}
		assert.Equal(t, slices.Max(parts), slices.Max(parts[:len(parts)/2+1]), "what is older is coarser: %v", parts)
	}
	assert.Zero(t, w.effects.Dropped)
}

// A table that has become too large for its lane leaves no room for that of another
// lane.
func TestTheTablesTakeNoMoreThanWasClaimed(t *testing.T) {
	w := newWorld(t, 1000)
	w.puts("a", span(0, 50)...)
	w.puts("a", 50, 51)
	w.work()
	w.end(w.take())
	w.puts("b", span(0, 10)...)
	claim := w.Claim()
	w.work()
	assert.LessOrEqual(t, w.Bytes(), claim)
}

// far returns a collection with an exponential histogram whose only value is in the
// given bucket, and a series that comes once.
func far(w *world, bucket int32) *metricdata.ResourceMetrics {
	rm := w.report("a", int(bucket))
	metrics := &rm.ScopeMetrics[0].Metrics
	*metrics = append(*metrics, metricdata.Metrics{Name: "far", Data: metricdata.ExponentialHistogram[float64]{
		Temporality: metricdata.DeltaTemporality,
		DataPoints: []metricdata.ExponentialHistogramDataPoint[float64]{{
			StartTime: minute(uint64(bucket)), Time: minute(uint64(bucket) + 1), Count: 1,
			PositiveBucket: metricdata.ExponentialBucket{Offset: bucket, Counts: []uint64{1}},
		}},
	}})
	return rm
}

func TestRoundsAreNotJoinedIntoWhatHasNoRoom(t *testing.T) {
	w := newWorld(t, 1000)
	w.large = true // the harness knows sums only
	room := 0
	w.Room = func() int { return room }
	for i := range int32(3) {
		w.put(far(w, 150*i))
	}
	w.work()
	assert.Equal(t, 6, w.Points(), "two buckets that are far apart become 151")
	requireTables(w)
	requirePairs(w)
	room = 10_000
	w.put(far(w, 450))
	w.work()
	assert.Less(t, w.Points(), 8, "they are tried again")
}
