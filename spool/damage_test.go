package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// template returns the content of a file with records of many sizes, and free
// pages between them.
func template(t *testing.T, records int) []byte {
	t.Helper()
	dir := t.TempDir()
	q, _ := open(t, dir, WithNoSync())
	for i := range records {
		putValues(t, q, 1+i*i%700, int64(i))
	}
	var entries []queue.Entry
	for range records / 4 {
		e, err := q.Take(t.Context(), queue.Limit{})
		require.NoError(t, err)
		entries = append(entries, e)
	}
	for i, e := range entries {
		if i%3 != 0 {
			require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}))
		}
	}
	require.NoError(t, q.Close())
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	return content
}

// survive opens a queue on a damaged file, takes out what there is, and demands
// that it works from then on.
func survive(t *testing.T, content []byte) (delivered int) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), content, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	q, o := open(t, dir, WithNoSync())
	require.NoError(t, q.Put(ctx, metrictest.Numbers(3, 1<<40)), "Put after damage")
	last := int64(-1)
	for {
		e, err := q.Take(ctx, queue.Limit{})
		if errors.Is(err, queue.ErrEmpty) {
			break
		}
		require.NoError(t, err, "Take after damage")
		value := metrictest.Value(e.Collection())
		require.Greater(t, value, last, "order")
		last = value
		delivered++
		require.NoError(t, e.Settle(queue.Outcome{Exported: e.Points()}), "Settle after damage")
		requireConserved(t, q)
	}
	require.NoError(t, q.Put(ctx, metrictest.Numbers(3, 1<<41)), "Put after damage")
	require.Equal(t, []int64{1 << 41}, drain(t, q))
	require.NoError(t, q.Close())
	if last != 1<<40 { // it was in the file that had to be set aside
		require.NotEmpty(t, setAsideFiles(t, dir))
	}
	if len(setAsideFiles(t, dir)) > 0 {
		require.ErrorContains(t, o.failures(), setAsideFiles(t, dir)[0])
	}
	return delivered
}

// seeds returns how many random cases to try, by default and in full. SPOOL_SEEDS
// multiplies the latter, for a long search.
func seeds(full int) int {
	if !metrictest.Long() {
		return full / 10
	}
	if times, err := strconv.Atoi(os.Getenv("SPOOL_SEEDS")); err == nil {
		return full * times
	}
	return full
}

func TestRandomDamageNeverCrashesAndWorkGoesOn(t *testing.T) {
	content := template(t, 60)
	intact := survive(t, content)
	t.Logf("%d bytes, %d records", len(content), intact)
	for seed := range seeds(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			damaged := append([]byte(nil), content...)
			for range 1 + r.IntN(20) {
				at := r.IntN(len(damaged))
				if r.IntN(2) == 0 { // where the structure is
					at = at&^4095 + r.IntN(64)
				}
				damaged[at] = byte(r.Uint32())
			}
			survive(t, damaged)
		})
	}
}

func TestTruncationNeverCrashesAndWorkGoesOn(t *testing.T) {
	content := template(t, 40)
	for i := range seeds(150) {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		size := r.IntN(len(content))
		if i%3 == 0 {
			size &^= 4095
		}
		t.Run(fmt.Sprint(size), func(t *testing.T) { survive(t, content[:size]) })
	}
}

func TestPagesThatChangedPlacesNeverCrash(t *testing.T) {
	content := template(t, 60)
	for seed := range seeds(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			damaged := append([]byte(nil), content...)
			for range 1 + r.IntN(4) {
				from, to := r.IntN(len(damaged)/4096), r.IntN(len(damaged)/4096)
				copy(damaged[to*4096:], content[from*4096:(from+1)*4096])
				if r.IntN(2) == 0 { // as if it belonged there
					damaged[to*4096], damaged[to*4096+1] = byte(to), byte(to>>8)
				}
			}
			survive(t, damaged)
		})
	}
}
