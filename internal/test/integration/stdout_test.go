package integration

import (
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

// A file is what stdoutmetric writes to: one that fails, and afterwards would
// not.
type file struct {
	backend *backend
	failing io.Writer // nil if it does not
}

// Write implements io.Writer.
func (f *file) Write(p []byte) (int, error) {
	if f.failing != nil && f.backend.fails() {
		return f.failing.Write(p)
	}
	f.backend.deliver(points)
	return len(p), nil
}

// openStdout returns stdoutmetric with a file that fails as another one does.
func openStdout(failing func(*testing.T) io.Writer) func(*testing.T) endpoint {
	return func(t *testing.T) endpoint {
		f := &file{backend: newBackend()}
		if failing != nil {
			f.failing = failing(t)
		}
		return endpoint{f.backend, func(settings) (metric.Exporter, error) {
			return stdoutmetric.New(stdoutmetric.WithWriter(f))
		}}
	}
}

// stdoutTroubles are ways in which writing fails.
var stdoutTroubles = []struct {
	name string
	file func(*testing.T) io.Writer
	err  error
}{
	{"disk full", fullDisk, syscall.ENOSPC},
	{"file closed", closedFile, os.ErrClosed},
	{"pipe broken", brokenPipe, syscall.EPIPE},
	{"deadline of a write passed", slowPipe, os.ErrDeadlineExceeded},
}

// vain is for how long a batch is sent again that never arrives.
const vain = 10 * time.Millisecond

// The encoder of stdoutmetric, encoding/json's, keeps the first error of its
// writer: it never writes again.
func TestStdoutFailsForeverAfterItsFirstError(t *testing.T) {
	for _, tt := range stdoutTroubles {
		t.Run(tt.name, func(t *testing.T) {
			server := openStdout(tt.file)(t)
			server.leave(1)
			exporter, err := server.exporter(settings{})
			require.NoError(t, err)
			first := exporter.Export(t.Context(), metrictest.Numbers(points, 1))
			require.ErrorIs(t, first, tt.err)
			assertClassified(t, again, first)
			assert.Equal(t, first, exporter.Export(t.Context(), metrictest.Numbers(points, 1)))
			_, delivered := server.record()
			assert.Empty(t, delivered)
		})
	}
}

func TestStdoutIsTriedAgainOnlyAsLongAsMaxElapsedTimeAllows(t *testing.T) {
	for _, tt := range stdoutTroubles {
		t.Run(tt.name, func(t *testing.T) {
			o := openStdout(tt.file)(t).deliver(t, settings{limit: vain})
			assert.Empty(t, o.delivered)
			assert.Positive(t, o.stats.Retries)
			require.Len(t, o.drops, 1)
			assert.Equal(t, points, o.drops[0].Points)
			assert.ErrorIs(t, o.drops[0].Err, tt.err)
			assert.Equal(t, queue.ReasonElapsed, o.drops[0].Reason)
		})
	}
}

func TestStdoutWritesEachCollectionOnce(t *testing.T) {
	o := openStdout(nil)(t).deliver(t, settings{})
	assert.Equal(t, []int{points}, o.delivered)
	assert.Equal(t, asyncmetric.Stats{Accepted: points, Exported: points}, o.stats)
}

// fullDisk returns a file to which nothing can be written any more.
func fullDisk(t *testing.T) io.Writer {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

func closedFile(t *testing.T) io.Writer {
	f, err := os.Create(t.TempDir() + "/metrics.json")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f
}

// brokenPipe returns one that nobody reads from.
func brokenPipe(t *testing.T) io.Writer {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	return w
}

// slowPipe returns one whose deadline has passed.
func slowPipe(t *testing.T) io.Writer {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, w.SetWriteDeadline(time.Now().Add(-time.Second)))
	t.Cleanup(func() { assert.NoError(t, w.Close()); assert.NoError(t, r.Close()) })
	return w
}
