package integration

import (
	"context"
	"net"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	points   = 5 // in the batch that is sent
	failures = 3 // how often a server misbehaves before it is healthy
	rejected = 3 // points, when a server takes only a part of the batch
)

// A backend is what the servers of both protocols have in common: a script,
// and a record of how far it was followed.
type backend struct {
	mu        sync.Mutex
	failed    int   // how often it has misbehaved
	delivered []int // the points of each batch that it took when healthy
}

// fails reports whether to misbehave now, and counts that.
func (b *backend) fails() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == failures {
		return false
	}
	b.failed++
	return true
}

// take records a batch.
func (b *backend) take(req *collectorpb.ExportMetricsServiceRequest) {
	n := 0
	for _, rm := range req.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				n += len(m.GetSum().GetDataPoints())
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivered = append(b.delivered, n)
}

func (b *backend) record() (failed int, delivered []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed, append([]int(nil), b.delivered...)
}

// closedPort is one that nobody listens on. As it is not an ephemeral one, no
// other test can get it, and no connection to it can meet itself.
const closedPort = "127.0.0.1:1"

// dialer returns how a client reaches the server at address. If the fault is
// that connections are refused, the kernel does that, as long as b fails.
func (b *backend) dialer(address string, refused bool) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		target := address
		if refused && b.fails() {
			target = closedPort
		}
		return new(net.Dialer).DialContext(ctx, "tcp", target)
	}
}

// reset closes a connection in the way that the other side sees as a reset.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
