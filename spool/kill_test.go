//go:build unix

package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func init() { children["produce"] = childProduce }

// What the children of the tests with kill -9 read from their environment.
const (
	backendVariable = "SPOOL_TEST_BACKEND"  // URL
	firstVariable   = "SPOOL_TEST_FIRST"    // the first value to export
	boundVariable   = "SPOOL_TEST_BOUND"    // for WithMaxBytes
	lastVariable    = "SPOOL_TEST_SHUTDOWN" // if set: export nothing, deliver what there is
)

// backend is what the children export to. It runs in the parent, so that it
// outlives them.
type backend struct {
	*httptest.Server
	busy sync.RWMutex // read locked by each request

	mu       sync.Mutex
	mode     string // up, down or flapping
	received []int64
}

func newBackend(t *testing.T) *backend {
	b := &backend{mode: "up"}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *backend) set(mode string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mode = mode
}

// quiesce waits until no request of a child that has ended is under way.
func (b *backend) quiesce() {
	b.CloseClientConnections()
	b.busy.Lock()
	defer b.busy.Unlock()
}

// all returns what has been received.
func (b *backend) all() []int64 {
	b.quiesce()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.busy.RLock()
	defer b.busy.RUnlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the child was killed while it sent
	}
	value, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mode == "down" || b.mode == "flapping" && rand.IntN(2) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	b.received = append(b.received, value)
}

// childProduce exports values one after the other, each in a collection of its
// own, and writes the number of each to the standard output once Export has
// returned, until it is killed.
func childProduce(dir string) error {
	bound, err := strconv.ParseInt(os.Getenv(boundVariable), 10, 64)
	if err != nil {
		return err
	}
	q, err := Open(dir, WithMaxBytes(bound))
	if err != nil {
		return err
	}
	url := os.Getenv(backendVariable)
	inner := &metrictest.Exporter{OnExport: func(ctx context.Context, rm *metricdata.ResourceMetrics) error {
		return post(ctx, url, metrictest.Value(rm))
	}}
	e, err := asyncmetric.New(inner, asyncmetric.WithQueue(q),
		asyncmetric.WithRetry(asyncmetric.Retry{
			InitialInterval: time.Millisecond, MaxInterval: 10 * time.Millisecond,
			Classify: func(error) asyncmetric.Verdict { return asyncmetric.Verdict{Action: asyncmetric.ActionRetry} },
		}),
		asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(func(error) {})))
	if err != nil {
		return err
	}
	if os.Getenv(lastVariable) != "" {
		return e.Shutdown(context.Background())
	}
	first, err := strconv.ParseInt(os.Getenv(firstVariable), 10, 64)
	if err != nil {
		return err
	}
	for number := first; ; number++ {
		value := number
		if bound < 1<<20 {
			value = 1 // to be added up
		}
		if err := e.Export(context.Background(), metrictest.Numbers(1, value)); err != nil {
			return err
		}
		fmt.Println(number)
	}
}

func post(ctx context.Context, url string, value int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(fmt.Sprint(value)))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// killing runs children that are killed at random moments, then one that
// delivers what is left. It returns the numbers of the calls of Export that
// returned.
func killing(t *testing.T, b *backend, rounds int, bound int64) (acknowledged []int64) {
	dir := t.TempDir()
	next := int64(1)
	for round := range rounds {
		b.set([]string{"up", "down", "flapping"}[round%3])
		cmd := child(t, "produce", dir)
		cmd.Env = append(cmd.Env, backendVariable+"="+b.URL, fmt.Sprint(firstVariable, "=", next), fmt.Sprint(boundVariable, "=", bound))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		// The moment is counted from the first Export on, or, at times, from the start.
		after := time.Duration(rand.Int64N(int64(60 * time.Millisecond)))
		lines := bufio.NewScanner(out)
		if round%5 == 4 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		for killed := false; lines.Scan(); {
			number, err := strconv.ParseInt(lines.Text(), 10, 64)
			require.NoError(t, err)
			acknowledged = append(acknowledged, number)
			next = number + 2 // the one behind it may be accepted, but not acknowledged
			if !killed && round%5 != 4 {
				killed = true
				time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			}
		}
		require.ErrorContains(t, cmd.Wait(), "killed")
		b.quiesce()
		next++ // the first of this child may have been accepted, too
	}
	b.set("up")
	cmd := child(t, "produce", dir)
	cmd.Env = append(cmd.Env, backendVariable+"="+b.URL, lastVariable+"=1", fmt.Sprint(boundVariable, "=", bound))
	outErr, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", outErr)
	return acknowledged
}

func killRounds() int {
	if metrictest.Long() {
		return 60
	}
	return 12
}

func TestKillLosesNothingAcknowledgedAndKeepsTheOrder(t *testing.T) {
	b := newBackend(t)
	acknowledged := killing(t, b, killRounds(), 1<<30)

	received := b.all()
	seen := make(map[int64]int, len(received))
	duplicates, last := 0, int64(0)
	for _, value := range received {
		require.GreaterOrEqual(t, value, last, "order")
		last = value
		seen[value]++
		if seen[value] > 1 {
			duplicates++
		}
	}
	t.Logf("%d acknowledged, %d received, %d of them again", len(acknowledged), len(received), duplicates)
	assert.LessOrEqual(t, duplicates, killRounds(), "one collection was in flight at each kill")
	for _, number := range acknowledged {
		require.Positive(t, seen[number], "number %d was acknowledged and never arrived", number)
	}
}

// With a tight bound collections are joined on disk all the time. What the
// backend got must add up to what was acknowledged, at least.
func TestKillLosesNothingWhileCollectionsAreJoined(t *testing.T) {
	b := newBackend(t)
	acknowledged := killing(t, b, killRounds()/3, 2000)
	var sum int64
	received := b.all()
	for _, value := range received {
		sum += value
	}
	t.Logf("%d acknowledged in %d rounds, %d received in %d collections",
		len(acknowledged), killRounds()/3, sum, len(received))
	assert.GreaterOrEqual(t, sum, int64(len(acknowledged)))
}
