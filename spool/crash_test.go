//go:build unix

package spool

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func init() { children["crash"] = childCrash }

// What the children of the tests with crashes read from their environment.
const (
	stepVariable  = "SPOOL_TEST_STEP"   // at which they end
	countVariable = "SPOOL_TEST_COUNT"  // and of which change
	tightVariable = "SPOOL_TEST_BOUNDS" // for WithMaxBytes
)

// childCrash puts collections of the values 1, 2, ... and settles the oldest
// now and then, and says what has been done, until it ends as if killed at a
// step of a change.
func childCrash(dir string) error {
	step, _ := strconv.Atoi(os.Getenv(stepVariable))
	count, _ := strconv.Atoi(os.Getenv(countVariable))
	bound, err := strconv.ParseInt(os.Getenv(tightVariable), 10, 64)
	if err != nil {
		return err
	}
	renewing := step >= stepFresh
	if renewing {
		maxFreePages = 0
	}
	q, err := Open(dir, WithMaxBytes(bound))
	if err != nil {
		return err
	}
	atStep = func(at int) {
		if at != step {
			return
		}
		if count--; count == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	ctx := context.Background()
	for value := int64(1); ; value++ {
		if err := q.Put(ctx, metrictest.Numbers(1, value)); err != nil {
			return err
		}
		fmt.Println("put", value)
		if value%3 > 0 && !renewing {
			continue
		}
		e, err := q.Take(ctx, queue.Limit{})
		if err != nil {
			return err
		}
		taken := metrictest.Value(e.Collection())
		fmt.Println("settling", taken)
		if err := e.Settle(queue.Outcome{Exported: 1}); err != nil {
			return err
		}
		fmt.Println("settled", taken)
	}
}

// crashed is what a child said before it ended.
type crashed struct {
	put, settled int64 // sums
	last         int64 // value put
	doubt        int64 // value that was being settled
}

func crash(t *testing.T, dir string, step, count int, bound int64) (c crashed) {
	cmd := child(t, "crash", dir)
	cmd.Env = append(cmd.Env, fmt.Sprint(stepVariable, "=", step), fmt.Sprint(countVariable, "=", count), fmt.Sprint(tightVariable, "=", bound))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, number, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseInt(number, 10, 64)
		require.NoError(t, err)
		switch what {
		case "put":
			c.put, c.last = c.put+value, value
		case "settling":
			c.doubt = value
		case "settled":
			c.settled, c.doubt = c.settled+value, 0
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed")
	return c
}

// At whichever step of a change the process ends: what was acknowledged is
// there, once and in order, but for what was in doubt at that moment.
func TestCrashBetweenTheStepsOfAChangeLosesNothing(t *testing.T) {
	changes := 3
	if metrictest.Long() {
		changes = 10
	}
	for name, bound := range map[string]int64{"kept apart": 1 << 20, "joined": 600} {
		t.Run(name, func(t *testing.T) {
			for step := range steps {
				for count := 1; count <= changes; count++ {
					dir := t.TempDir()
					c := crash(t, dir, step, count, bound)
					values, sum := remaining(t, dir)
					// The next value may have been put, and the one in doubt settled.
					missing := c.put - c.settled - sum
					assert.Contains(t, []int64{0, c.doubt, -(c.last + 1)}, missing,
						"step %d, change %d: %+v, left are %v", step, count, c, values)
					if bound > 600 {
						assert.IsIncreasing(t, append([]int64{0}, values...))
					}
				}
			}
		})
	}
}

// remaining takes all that is left, and returns the values and their sum.
func remaining(t *testing.T, dir string) (values []int64, sum int64) {
	q, told := open(t, dir)
	for {
		e, err := q.Take(t.Context(), queue.Limit{})
		if err != nil {
			require.ErrorIs(t, err, queue.ErrEmpty)
			break
		}
		values = append(values, metrictest.Value(e.Collection()))
		sum += metrictest.Value(e.Collection())
		require.NoError(t, e.Settle(queue.Outcome{Exported: 1}))
	}
	require.NoError(t, told.failures())
	require.NoError(t, q.Close())
	return values, sum
}
