//go:build unix

package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func init() { children["fullDisk"] = childFullDisk }

// A limit of the size of files stands for a full disk. It holds for the whole
// process, so that a child does this.
func TestAFullDiskStopsPutAlone(t *testing.T) {
	out, err := child(t, "fullDisk", t.TempDir()).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// putInChild puts in a record of about so many bytes.
func putInChild(q *Queue, size int, value int64) error {
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = "0123456789abcdef"[rand.IntN(16)] // becomes half as much
	}
	rm := metrictest.Numbers(1, value)
	rm.ScopeMetrics[0].Metrics[0].Description = string(noise)
	return q.Put(context.Background(), rm)
}

func childFullDisk(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	for _, limit := range []uint64{1 << 16, 1<<16 + 4096, 1 << 18, 300_000, 1 << 20} {
		if err := fillDisk(fmt.Sprint(dir, "/", limit), limit); err != nil {
			return fmt.Errorf("limit of %d bytes: %w", limit, err)
		}
	}
	return nil
}

func setLimit(limit uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = limit
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

func fillDisk(dir string, limit uint64) error {
	q, err := Open(dir, WithNoSync())
	if err != nil {
		return err
	}
	o := new(told)
	if err := q.Start(o.observer()); err != nil {
		return err
	}
	if err := setLimit(limit); err != nil {
		return err
	}
	next := int64(0)
	for ; ; next++ { // of different sizes, so that the last pages are used, too
		err := putInChild(q, 20_000, next)
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), syscall.EFBIG.Error()) { // bbolt does not wrap all
			return fmt.Errorf("Put into a full disk returned %w", err)
		}
		break
	}
	for ; putInChild(q, 1000, next) == nil; next++ {
	}
	before := q.Stats()
	for range 3 {
		if putInChild(q, 20_000, -1) == nil {
			return errors.New("the disk is full, but Put succeeds")
		}
	}
	if after := q.Stats(); after != before {
		return fmt.Errorf("Put failed and changed %+v to %+v", before, after)
	}

	// What is delivered makes room.
	for want := range next {
		if err := takeInChild(q, want); err != nil {
			return err
		}
	}
	if err := putInChild(q, 20_000, next); err != nil {
		return fmt.Errorf("Put after all has been delivered: %w", err)
	}
	if err := setLimit(^uint64(0)); err != nil {
		return err
	}
	if err := putInChild(q, int(limit), next+1); err != nil {
		return fmt.Errorf("Put when there is room again: %w", err)
	}
	for want := next; want <= next+1; want++ {
		if err := takeInChild(q, want); err != nil {
			return err
		}
	}
	if s := q.Stats(); s.Queued != 0 || s.Dropped != 0 {
		return fmt.Errorf("everything has been delivered: %+v", s)
	}
	if err := o.failures(); err != nil {
		return err
	}
	return q.Close()
}

func takeInChild(q *Queue, want int64) error {
	e, err := q.Take(context.Background(), queue.Limit{})
	if err != nil {
		return fmt.Errorf("Take: %w", err)
	}
	if got := metrictest.Value(e.Collection()); got != want {
		return fmt.Errorf("Take: want %d, got %d", want, got)
	}
	if err := e.Settle(queue.Outcome{Exported: e.Points()}); err != nil {
		return fmt.Errorf("Settle: %w", err)
	}
	return nil
}
