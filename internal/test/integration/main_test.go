package integration

import (
	"context"
	"net"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The OTLP handler of Prometheus starts it to forget stale sums of
		// deltas, and has no method that would end it.
		goleak.IgnoreAnyFunction("github.com/open-telemetry/opentelemetry-collector-contrib/processor/"+
			"deltatocumulativeprocessor.(*deltaToCumulativeProcessor).Start.func1"))
}

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

	taken chan struct{} // has a token for each of these, as long as there is room
}

func newBackend() *backend { return &backend{taken: make(chan struct{}, 1)} }

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

// leave makes it misbehave only n times from now on.
func (b *backend) leave(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = failures - n
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
	b.deliver(n)
}

func (b *backend) deliver(points int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivered = append(b.delivered, points)
	select {
	case b.taken <- struct{}{}:
	default:
	}
}

func (b *backend) record() (failed int, delivered []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed, append([]int(nil), b.delivered...)
}

// closedPort is one that nobody listens on. As it is not an ephemeral one, no
// other test can get it, and no connection to it can meet itself.
const closedPort = "127.0.0.1:1"

// A detour is where connections lead as long as the backend fails, if it is not
// the server that does.
type detour string

// refused leads to where nobody listens.
const refused detour = closedPort

// dialer returns how a client reaches the server at address, by the detour if
// there is one.
func (b *backend) dialer(address string, by detour) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		target := address
		if by != "" && b.fails() {
			target = string(by)
		}
		dialer := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: dialNameServer}}
		return dialer.DialContext(ctx, "tcp", target)
	}
}

// reset closes a connection in the way that the other side sees as a reset.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
