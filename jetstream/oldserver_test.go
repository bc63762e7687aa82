package jetstream

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// startOldServer starts a server of 2.10, which has no pinned clients, in a
// process of its own: one test cannot have two versions of a module.
func startOldServer(t *testing.T) (url string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nats-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/nats-io/nats-server/v2")
	build.Dir = filepath.Join("internal", "oldserver")
	build.Env = append(build.Environ(), "GOWORK=off", "GOFLAGS=")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)

	port := freePorts(t, 1)[0]
	server := exec.Command(program, "-a", "127.0.0.1", "-p", strconv.Itoa(port), "-js", "-sd", t.TempDir())
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	url = fmt.Sprintf("nats://127.0.0.1:%d", port)
	eventually(t, func() bool {
		conn, err := nats.Connect(url)
		if err != nil {
			return false
		}
		defer closeConn(conn)
		return conn.ConnectedServerVersion() != ""
	}, "the server answers")
	return url
}

func TestOrderHoldsOnAServerThatHasNoPinnedClients(t *testing.T) {
	if !metrictest.Long() {
		t.Skip("builds a server: set ASYNCMETRIC_TEST_LONG=1")
	}
	url := startOldServer(t)
	requireOrderWhileRelaysComeAndGo(t, url, 1)

	b := newBackend()
	const n = 30
	stream := []Option{quick, WithStream("KILL"), WithSubject("kill"), WithPartitions(1)}
	doomed := startRelay(t, url, b, time.Millisecond, stream...)
	app := newExporter(t, connect(t, url), stream...)
	handOver(t, app, 1, 0, n)
	eventually(t, func() bool { return doomed.inner.Count("Export") > 2 }, "the relay delivers")
	doomed.kill()
	startRelay(t, url, b, 0, stream...)
	assert.LessOrEqual(t, b.await(t, 1, n), 1, "collections that came twice, where one was in flight")
}
