package jetstream

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// patience is how long something that has to happen may take.
const patience = 40 * time.Second

// startServer starts a server in this process.
func startServer(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { stopServer(s) })
	require.True(t, s.ReadyForConnections(patience))
	return s
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// connect returns a connection of its own, as another process would have.
func connect(t testing.TB, url string, opts ...nats.Option) natsjs.JetStream {
	t.Helper()
	opts = append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(0, 0),
	}, opts...)
	conn, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { closeConn(conn) })
	js, err := natsjs.New(conn)
	require.NoError(t, err)
	return js
}

// closeConn closes a connection and waits for its goroutines.
func closeConn(conn *nats.Conn) {
	closed := make(chan struct{})
	conn.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if conn.IsClosed() {
		return
	}
	conn.Close()
	<-closed
}

// A line is between a client and a server, and can be cut: what is sent waits
// until it is mended.
type line struct {
	url    string
	server string
	gate   sync.RWMutex // locked while it is cut
	mu     sync.Mutex
	conns  []net.Conn
	copies sync.WaitGroup
}

func newLine(t testing.TB, url string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &line{url: "nats://" + l.Addr().String(), server: strings.TrimPrefix(url, "nats://")}
	n.copies.Go(func() { n.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		n.mu.Lock()
		for _, c := range n.conns {
			_ = c.Close()
		}
		n.mu.Unlock()
		n.copies.Wait()
	})
	return n
}

func (n *line) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		n.mu.Lock()
		n.conns = append(n.conns, client, server)
		n.mu.Unlock()
		n.copies.Go(func() { n.copy(client, server) })
		n.copies.Go(func() { n.copy(server, client) })
	}
}

func (n *line) copy(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	for b := make([]byte, 1<<16); ; {
		k, err := from.Read(b)
		if err != nil {
			return
		}
		n.gate.RLock()
		_, err = to.Write(b[:k])
		n.gate.RUnlock()
		if err != nil {
			return
		}
	}
}

func (n *line) cut()  { n.gate.Lock() }
func (n *line) mend() { n.gate.Unlock() }

// freePorts returns ports that nobody listens on.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// A cluster is three servers in this process.
type cluster struct {
	servers []*server.Server
	options []*server.Options
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	const n = 3
	ports := freePorts(t, 2*n)
	var routes string
	for _, p := range ports[n:] {
		routes += ",nats://127.0.0.1:" + strconv.Itoa(p)
	}
	c := new(cluster)
	for i := range n {
		o := &server.Options{
			ServerName: fmt.Sprintf("node-%d", i), Host: "127.0.0.1", Port: ports[i],
			JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
			Cluster: server.ClusterOpts{Name: "fleet", Host: "127.0.0.1", Port: ports[n+i], NoAdvertise: true},
			Routes:  server.RoutesFromStr(routes[1:]),
		}
		s, err := server.NewServer(o)
		require.NoError(t, err)
		c.servers, c.options = append(c.servers, s), append(c.options, o)
		s.Start()
	}
	t.Cleanup(func() {
		for _, s := range c.servers {
			stopServer(s)
		}
	})
	for _, s := range c.servers {
		require.True(t, s.ReadyForConnections(patience))
	}
	require.Eventually(t, func() bool {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == n {
				return true
			}
		}
		return false
	}, patience, 20*time.Millisecond, "the cluster has no leader")
	return c
}

// url returns the addresses of all servers.
func (c *cluster) url() (url string) {
	for _, o := range c.options {
		url += fmt.Sprintf(",nats://127.0.0.1:%d", o.Port)
	}
	return url[1:]
}

// restart ends a server and starts it again after a pause.
func (c *cluster) restart(t testing.TB, i int, pause time.Duration) {
	t.Helper()
	stopServer(c.servers[i])
	_ = sleep(t.Context(), pause)
	s, err := server.NewServer(c.options[i].Clone())
	require.NoError(t, err)
	c.servers[i] = s
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
}

// kill ends the server with a name.
func (c *cluster) kill(t testing.TB, name string) {
	t.Helper()
	for i, o := range c.options {
		if o.ServerName == name {
			stopServer(c.servers[i])
			return
		}
	}
	require.FailNow(t, "no such server", name)
}

// leader returns the name of the server that leads a stream, or a consumer of
// it.
func leader(t testing.TB, js natsjs.JetStream, stream, consumer string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	require.NoError(t, err)
	if consumer == "" {
		return s.CachedInfo().Cluster.Leader
	}
	c, err := s.Consumer(ctx, consumer)
	require.NoError(t, err)
	return c.CachedInfo().Cluster.Leader
}
