package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// told is what an observer was told.
type told struct {
	mu     sync.Mutex
	drops  []queue.Drop
	failed []error
}

func (o *told) observer() queue.Observer {
	return queue.Observer{
		Dropped: func(d queue.Drop) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.drops = append(o.drops, d)
		},
		Failed: func(err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.failed = append(o.failed, err)
		},
	}
}

// dropped returns the data points dropped for each reason.
func (o *told) dropped() map[queue.DropReason]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := make(map[queue.DropReason]int)
	for _, d := range o.drops {
		sum[d.Reason] += d.Points
	}
	return sum
}

func (o *told) failures() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.failed...)
}

// open opens a queue that reports to what it returns. It is closed with the
// test, if it has not been before.
func open(t testing.TB, dir string, opts ...Option) (*Queue, *told) {
	t.Helper()
	q, err := Open(dir, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.Close() })
	o := new(told)
	require.NoError(t, q.Start(o.observer()))
	return q, o
}

// put puts in collections of n data points with these values.
func putValues(t testing.TB, q *Queue, n int, values ...int64) {
	t.Helper()
	for _, v := range values {
		require.NoError(t, q.Put(t.Context(), metrictest.Numbers(n, v)))
	}
	requireConserved(t, q)
}

// drain takes and settles all that waits, and returns the values in order.
func drain(t testing.TB, q *Queue) (values []int64) {
	t.Helper()
	for {
		e, err := q.Take(t.Context(), queue.Limit{})
		if errors.Is(err, queue.ErrEmpty) || errors.Is(err, queue.ErrClosed) {
			requireConserved(t, q)
			return values
		}
		require.NoError(t, err)
		values = append(values, metrictest.Value(e.Collection()))
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
	}
}

func requireConserved(t testing.TB, q *Queue) {
	t.Helper()
	s := q.Stats()
	require.Equal(t, s.Accepted, s.Exported+s.Dropped+s.Coalesced+uint64(s.Queued), "%+v", s)
	require.Equal(t, s.Queued == 0, s.Collections == 0, "%+v", s)
	require.Equal(t, s.Queued == 0, q.Bytes() == 0, "%+v, %d bytes", s, q.Bytes())
}

// setAsideFiles returns the names of damaged files in a folder.
func setAsideFiles(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if strings.Contains(e.Name(), ".damaged-") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

// sequence returns the numbers from to to.
func sequence(from, to int64) (values []int64) {
	for v := from; v <= to; v++ {
		values = append(values, v)
	}
	return values
}
