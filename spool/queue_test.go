package spool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

func TestOptionsAreCheckedInOpen(t *testing.T) {
	for want, opt := range map[string]Option{
		"WithMaxBytes(0): must be at least 1":             WithMaxBytes(0),
		"WithMaxAge(-1ns): must be above 0":               WithMaxAge(-1),
		"WithOverflow(Overflow(9)): must be one of":       WithOverflow(9),
		"option 1 of Open is nil":                         nil,
		"WithMaxBytes(-9223372036854775808): must be at ": WithMaxBytes(math.MinInt64),
	} {
		dir := filepath.Join(t.TempDir(), "new")
		_, err := Open(dir, opt)
		require.ErrorIs(t, err, ErrInvalidOption)
		require.ErrorContains(t, err, want)
		require.NoDirExists(t, dir)
	}
}

func TestRestartKeepsOrderCountsAndPositions(t *testing.T) {
	dir := t.TempDir()
	var want []int64
	last := uint64(0)
	for round := range int64(5) {
		q, o := open(t, dir, WithNoSync())
		require.Equal(t, last, q.Stats().Last)
		require.Equal(t, len(want), q.Stats().Collections)
		require.Equal(t, 3*len(want), q.Stats().Queued)
		require.Equal(t, uint64(3*len(want)), q.Stats().Accepted)
		for i := range int64(10) {
			putValues(t, q, 3, 10*round+i)
			want = append(want, 10*round+i)
		}
		bytes := q.Bytes()
		e, err := q.Take(t.Context(), queue.Limit{}) // in flight at Close
		require.NoError(t, err)
		require.Equal(t, want[0], metrictest.Value(e.Collection()))
		last = q.Stats().Last
		require.NoError(t, q.Close())
		require.NoError(t, o.failures())

		q, _ = open(t, dir, WithNoSync())
		require.Equal(t, bytes, q.Bytes())
		for range 4 {
			e, err := q.Take(t.Context(), queue.Limit{})
			require.NoError(t, err)
			require.Equal(t, want[0], metrictest.Value(e.Collection()))
			require.NoError(t, e.Settle(queue.Outcome{Exported: 3}))
			want = want[1:]
		}
		require.NoError(t, q.Close())
	}
}

// The position of what has been delivered is not used again.
func TestPositionsGrowAcrossAnEmptyQueue(t *testing.T) {
	dir := t.TempDir()
	q, _ := open(t, dir)
	putValues(t, q, 1, 1, 2, 3)
	drain(t, q)
	last := q.Stats().Last
	require.NoError(t, q.Close())
	q, _ = open(t, dir)
	require.Equal(t, last, q.Stats().Last)
	putValues(t, q, 1, 4)
	require.Greater(t, q.Stats().Last, last)
}

func TestConcurrentPutsShareTransactions(t *testing.T) {
	q, _ := open(t, t.TempDir())
	const producers, each = 16, 20
	id := transaction(t, q)
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for range each {
				assert.NoError(t, q.Put(context.Background(), metrictest.Numbers(10, 1)))
			}
		})
	}
	wg.Wait()
	transactions := transaction(t, q) - id
	t.Logf("%d calls of Put in %d transactions", producers*each, transactions)
	assert.Less(t, transactions, producers*each/2)
	assert.Equal(t, producers*each, q.Stats().Collections)
}

// transaction returns the number of the newest transaction. Nothing else may be
// under way.
func transaction(t *testing.T, q *Queue) int {
	t.Helper()
	tx, err := q.store.db.Begin(false)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	return tx.ID()
}

func TestWhatIsTooOldIsDroppedAtTake(t *testing.T) {
	dir := filled(t, sequence(1, 2500)...) // more than one transaction drops
	edit(t, dir, func(_, index *bbolt.Bucket) error {
		for position := range uint64(2500) {
			x, err := decodeIndex(position+1, index.Get(key(position+1)))
			require.NoError(t, err)
			x.oldest, x.newest = x.oldest.Add(-time.Hour), x.newest.Add(-time.Hour)
			require.NoError(t, index.Put(key(position+1), x.encode(position+1)))
		}
		return nil
	})
	q, o := open(t, dir, WithNoSync(), WithMaxAge(time.Minute))
	putValues(t, q, 2, 3000)
	last := q.Stats().Last
	e, err := q.Take(t.Context(), queue.Limit{})
	require.NoError(t, err)
	require.Equal(t, int64(3000), metrictest.Value(e.Collection()))
	assert.Equal(t, map[queue.DropReason]int{queue.ReasonAge: 5000}, o.dropped())
	assert.ErrorIs(t, o.drops[0].Err, errTooOld)
	require.NoError(t, e.Settle(queue.Outcome{Exported: 2}))
	require.True(t, q.Stats().Passed(last))
	requireConserved(t, q)
	require.NoError(t, q.Close())
	q, _ = open(t, q.dir)
	require.Zero(t, q.Stats().Queued)
}

func TestADeclinedCollectionIsNotReadAgain(t *testing.T) {
	q, _ := open(t, t.TempDir(), WithNoSync())
	putValues(t, q, 2, 1)
	another := queue.Limit{Resource: resource.NewSchemaless(attribute.Int("another", 1))}
	_, err := q.Take(t.Context(), another)
	require.ErrorIs(t, err, queue.ErrDeclined)
	read := q.ledger.first.collection
	require.NotNil(t, read)
	for _, limit := range []queue.Limit{another, {MaxPoints: 1}} {
		_, err := q.Take(t.Context(), limit)
		require.ErrorIs(t, err, queue.ErrDeclined)
	}
	e, err := q.Take(t.Context(), queue.Limit{MaxPoints: 2})
	require.NoError(t, err)
	require.Same(t, read, e.Collection())
}

func sized(t testing.TB, records int, n int) Option {
	record, err := frame.EncodeCollection(metrictest.Numbers(n, 1), frame.MaxSize)
	require.NoError(t, err)
	return WithMaxBytes(int64(records * (len(record) + 4))) // joined ones are a little larger
}

func (q *Queue) waitingParts() (parts []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.ledger.first; e != nil; e = e.next {
		parts = append(parts, e.parts)
	}
	return parts
}

func sumOf(rm *metricdata.ResourceMetrics) (sum int64) {
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				sum += p.Value
			}
		}
	}
	return sum
}

func drainSum(t testing.TB, q *Queue) (sum int64) {
	for {
		e, err := q.Take(t.Context(), queue.Limit{})
		if errors.Is(err, queue.ErrEmpty) {
			return sum
		}
		require.NoError(t, err)
		sum += sumOf(e.Collection())
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
}

// However long the queue is full, no entry but the newest spans more than twice
// the time of another, nothing is lost, and no Put does much.
func TestCoalesceKeepsResolutionEvenForEver(t *testing.T) {
	for _, entries := range []int{3, 8, 30} {
		t.Run(fmt.Sprint(entries), func(t *testing.T) {
			const points, puts = 20, 1200
			q, o := open(t, t.TempDir(), WithNoSync(), sized(t, entries, points))
			for i := range puts {
				before, id := q.Stats(), transaction(t, q)
				putValues(t, q, points, 1)
				after := q.Stats()
				require.LessOrEqual(t, after.Coalesced-before.Coalesced, uint64(2*points), "two pairs at most")
				require.LessOrEqual(t, transaction(t, q)-id, 2, "two transactions at most")
				require.LessOrEqual(t, q.Bytes(), q.config.maxBytes)
				parts := q.waitingParts()
				if even := parts[:len(parts)-1]; len(even) > 0 {
					require.LessOrEqual(t, slices.Max(even), 2*slices.Min(even), "%d: %v", i, parts)
				}
			}
			require.GreaterOrEqual(t, len(q.waitingParts()), max(1, entries/2-1), "the room is used")
			require.NoError(t, q.Close())
			q, _ = open(t, q.dir, WithNoSync())
			require.Equal(t, int64(points*puts), drainSum(t, q))
			require.Empty(t, o.drops)
		})
	}
}

func TestCoalesceDropsTheOldestWhereNothingCanBeJoined(t *testing.T) {
	q, o := open(t, t.TempDir(), WithNoSync(), sized(t, 5, 20))
	for i := range 40 {
		rm := metrictest.Numbers(20, 1)
		rm.Resource = resource.NewSchemaless(attribute.Int("i", i%10))
		require.NoError(t, q.Put(t.Context(), rm))
		requireConserved(t, q)
	}
	require.Zero(t, q.Stats().Coalesced)
	require.GreaterOrEqual(t, o.dropped()[queue.ReasonOverflow], 35*20)
	require.Equal(t, 800, o.dropped()[queue.ReasonOverflow]+q.Stats().Queued)
}

func TestTotalsAreKeptAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		bound := WithMaxBytes(int64(rapid.IntRange(400, 4000).Draw(rt, "bound")))
		q, err := Open(dir, bound, WithNoSync())
		require.NoError(rt, err)
		defer func() { _ = q.Close() }()
		o := new(told)
		require.NoError(rt, q.Start(o.observer()))
		var in, out int64
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 12).Draw(rt, "action") {
			case 0, 1:
				e, err := q.Take(t.Context(), queue.Limit{})
				if err != nil {
					require.ErrorIs(rt, err, queue.ErrEmpty)
					continue
				}
				out += sumOf(e.Collection())
				require.NoError(rt, e.Settle(queue.Outcome{Exported: e.Points()}))
			case 2:
				require.NoError(rt, q.Close())
				q, err = Open(dir, bound, WithNoSync())
				require.NoError(rt, err)
				require.NoError(rt, q.Start(o.observer()))
			default:
				size, value := rapid.IntRange(1, 60).Draw(rt, "size"), rapid.Int64Range(-5, 5).Draw(rt, "value")
				require.NoError(rt, q.Put(t.Context(), metrictest.Numbers(size, value)))
				in += int64(size) * value
			}
			s := q.Stats()
			require.Equal(rt, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued))
		}
		out += drainSum(t, q)
		if len(o.drops) == 0 {
			require.Equal(rt, in, out)
		}
		require.NoError(rt, o.failures())
	})
}

func TestABacklogLargerThanTheBoundIsWorkedOff(t *testing.T) {
	for _, overflow := range []queue.Overflow{queue.Coalesce, queue.DropOldest, queue.DropNewest, queue.Block} {
		t.Run(overflow.String(), func(t *testing.T) {
			dir := t.TempDir()
			q, _ := open(t, dir, WithNoSync())
			putValues(t, q, 20, sequence(1, 300)...)
			found := q.Bytes()
			require.NoError(t, q.Close())

			q, o := open(t, dir, WithNoSync(), WithOverflow(overflow), sized(t, 10, 20))
			require.Equal(t, 300, q.Stats().Collections, "Open accepts what it finds")
			ctx := t.Context()
			if overflow == queue.Block { // there will be no room
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 30*time.Millisecond)
				defer cancel()
			}
			err := q.Put(ctx, metrictest.Numbers(20, 1000))
			switch overflow {
			case queue.DropNewest:
				require.ErrorIs(t, err, queue.ErrFull)
				require.Equal(t, sequence(1, 300), drain(t, q))
			case queue.Block:
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, sequence(1, 300), drain(t, q))
			case queue.DropOldest:
				require.NoError(t, err)
				putValues(t, q, 20, 1001, 1002)
				require.LessOrEqual(t, q.Bytes(), q.config.maxBytes)
				require.Equal(t, []int64{1000, 1001, 1002}, lastOf(drain(t, q), 3))
			case queue.Coalesce:
				require.NoError(t, err)
				require.LessOrEqual(t, q.Bytes(), found, "it has not grown")
				total := int64(20 * 300 * 301 / 2)
				for i := 0; i < 2000 && q.Bytes() > q.config.maxBytes; i++ {
					before := q.Stats()
					putValues(t, q, 20, 0)
					require.LessOrEqual(t, q.Stats().Coalesced-before.Coalesced, uint64(20*16), "bounded work")
				}
				require.LessOrEqual(t, q.Bytes(), q.config.maxBytes)
				require.Empty(t, o.drops, "nothing is lost")
				require.Equal(t, total+20*1000, drainSum(t, q))
			}
		})
	}
}

func lastOf(values []int64, n int) []int64 { return values[max(0, len(values)-n):] }

func TestACallOfPutThatIsWithdrawnQueuesNothing(t *testing.T) {
	q, _ := open(t, t.TempDir())
	var accepted, unknown sync.Map
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			for i := range 30 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%7)*100*time.Microsecond)
				value := int64(100*p + i)
				switch err := q.Put(ctx, metrictest.Numbers(1, value)); {
				case err == nil:
					accepted.Store(value, true)
				case errors.Is(err, errBegun):
					unknown.Store(value, true)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	putValues(t, q, 1, 1000) // what had begun before has ended then
	accepted.Store(int64(1000), true)
	for _, value := range drain(t, q) {
		_, ok := accepted.LoadAndDelete(value)
		if _, may := unknown.Load(value); may {
			continue
		}
		assert.True(t, ok, "%d was queued, though Put returned an error", value)
	}
	accepted.Range(func(value, _ any) bool {
		t.Errorf("%d was accepted and is missing", value)
		return true
	})
}

func TestWhatOTLPCannotExpressIsAnErrorOfPut(t *testing.T) {
	q, _ := open(t, t.TempDir())
	rm := metrictest.Numbers(1, 1)
	rm.ScopeMetrics[0].Metrics[0].Name = "\xff"
	require.ErrorContains(t, q.Put(t.Context(), rm), "UTF-8")
	require.Zero(t, q.Stats())
}

func TestCloseInTheMiddleOfEverything(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		q, _ := open(t, dir, WithNoSync())
		var wg sync.WaitGroup
		var accepted, settled sync.Map
		for p := range 4 {
			wg.Go(func() {
				for i := range 100 {
					value := int64(1000*p + i)
					if q.Put(context.Background(), metrictest.Numbers(1, value)) == nil {
						accepted.Store(value, true)
					}
				}
			})
		}
		wg.Go(func() {
			for {
				e, err := q.Take(context.Background(), queue.Limit{})
				if errors.Is(err, queue.ErrClosed) {
					return
				}
				if err == nil {
					settled.Store(metrictest.Value(e.Collection()), true)
					assert.NoError(t, e.Settle(queue.Outcome{Exported: 1}))
				}
			}
		})
		time.Sleep(2 * time.Millisecond)
		wg.Go(func() { assert.NoError(t, q.Close()) })
		require.NoError(t, q.Close())
		wg.Wait()
		q, _ = open(t, dir, WithNoSync())
		for _, value := range drain(t, q) {
			accepted.Delete(value)
		}
		settled.Range(func(value, _ any) bool { accepted.Delete(value); return true })
		accepted.Range(func(value, _ any) bool { t.Errorf("%d was accepted and is missing", value); return true })
		require.NoError(t, q.Close())
	}
}
