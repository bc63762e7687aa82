package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestBlockedPutsGetRoomInTheOrderInWhichTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(8, 2)
		l.join(1, 3)
		l.join(5, 4)
		l.exports(0)
		l.waits(2, 3, 4) // a small one behind a large one does not overtake it
		l.exports(1)
		l.returned(2, nil)
		l.returned(3, nil)
		l.waits(4)
		l.exports(2)
		l.returned(4, nil)
		l.exports(3, 4)
	})
}

func TestPutDoesNotOvertakeThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(8, 2)
		l.exports(0)
		l.join(1, 3) // would fit
		l.exports(1, 2, 3)
		l.returned(2, nil)
		l.returned(3, nil)
	})
}

func TestTakeLetsInAllThatFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for v := range int64(6) {
			l.join(1, 2+v)
		}
		l.exports(0)
		for v := range int64(5) {
			l.returned(2+v, nil)
		}
		l.waits(7)
		l.exports(1)
		l.returned(7, nil)
	})
}

func TestCancelledPutLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(5, 2)
		l.join(5, 3)
		l.join(5, 4)
		l.cancel[3]()
		l.returned(3, context.Canceled)
		l.waits(2, 4)
		l.exports(0, 1, 2, 4)
		l.returned(2, nil)
		l.returned(4, nil)
		assert.Equal(t, uint64(20), l.Stats().Accepted, "what a cancelled Put brought does not count")
	})
}

// Trap 3: one that does not fit must not swallow the room for others.
func TestCancelledHeadLetsInThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(9, 2)
		l.join(3, 3)
		l.join(2, 4)
		l.join(1, 5)
		l.exports(0)
		l.waits(2, 3, 4, 5)
		l.cancel[2]()
		l.returned(2, context.Canceled)
		l.returned(3, nil)
		l.returned(4, nil)
		l.waits(5)
		l.exports(1, 3, 4, 5)
		l.returned(5, nil)
	})
}

// Trap 2: many that are cancelled together must neither hang nor take the room
// of those that stay.
func TestCallsCancelledTogetherLoseNoWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for v := range int64(20) {
			l.join(1+int(v)%7, 2+v)
		}
		for v := int64(2); v < 22; v++ {
			if v%3 != 0 {
				go l.cancel[v]()
			}
		}
		l.exports(0) // at the same time, as it were
		for v := int64(2); v < 22; v++ {
			if v%3 != 0 && errors.Is(<-l.result[v], context.Canceled) {
				delete(l.result, v)
			}
		}
		l.exports(1)
		for l.Stats().Queued > 0 {
			v := l.export()
			assert.Contains(t, l.result, v, "what a cancelled Put brought has been queued")
			delete(l.result, v)
		}
		assert.Empty(t, l.result, "Puts that were not cancelled and still wait")
		l.waits()
	})
}

func TestPutThatIsGrantedAndCancelledAtOnceIsInTheQueue(t *testing.T) {
	for range 20 { // select chooses at random
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t)
			l.join(5, 2)
			l.lock() // both happen before Put can look at either
			l.cancel[2]()
			e := l.takeOff(l.waiting.Next())
			l.admit()
			l.unlock()
			l.returned(2, nil)
			l.exports(1, 2)
			require.NoError(t, e.Settle(Outcome{Exported: 5}))
		})
	}
}

func TestBlockedPutReturnsWhenItsDeadlinePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, l.Put(ctx, metrictest.Numbers(1, 2)), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		l.waits()
		assert.Equal(t, uint64(10), l.Stats().Accepted)
	})
}

func TestSealReleasesAllThatWait(t *testing.T) {
	for name, end := range map[string]func(*line) error{
		"Seal":  func(l *line) error { l.Seal(); return nil },
		"Close": func(l *line) error { return l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t)
				l.join(20, 2)
				l.join(1, 3)
				l.join(5, 4)
				require.NoError(t, end(l))
				for _, v := range []int64{2, 3, 4} {
					l.returned(v, ErrClosed)
				}
				l.waits()
				assert.Equal(t, uint64(10), l.Stats().Accepted)
			})
		})
	}
}

func TestOversizeCollectionGetsInWhenNothingElseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.join(11, 2)
		l.join(1, 3)
		l.exports(0)
		l.waits(2, 3)
		l.exports(1)
		l.returned(2, nil)
		l.waits(3)
		l.exports(2, 3)
		l.returned(3, nil)
	})
}
