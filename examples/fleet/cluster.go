package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

const servers = 3

// A cluster is three servers on the loopback address.
type cluster struct {
	dir     string
	servers []*server.Server
	options []*server.Options
}

func startCluster(ctx context.Context) (_ *cluster, err error) {
	c := new(cluster)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "fleet-"); err != nil {
		return nil, err
	}
	ports, err := freePorts(2 * servers)
	if err != nil {
		return nil, err
	}
	var routes []string
	for _, p := range ports[servers:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	for i := range servers {
		o := &server.Options{
			ServerName: fmt.Sprintf("server %c", 'a'+i), Host: "127.0.0.1", Port: ports[i],
			JetStream: true, StoreDir: filepath.Join(c.dir, fmt.Sprint(i)), NoLog: true, NoSigs: true,
			Cluster: server.ClusterOpts{Name: "fleet", Host: "127.0.0.1", Port: ports[servers+i]},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		}
		o.ServerName = strings.ReplaceAll(o.ServerName, " ", "-")
		s, err := server.NewServer(o)
		if err != nil {
			return nil, err
		}
		c.servers, c.options = append(c.servers, s), append(c.options, o)
		s.Start()
	}
	return c, c.await(ctx)
}

// await waits until the servers have found each other.
func (c *cluster) await(ctx context.Context) error {
	for {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == servers {
				return nil
			}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// freePorts returns ports that nobody listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (c *cluster) url() string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(urls, ",")
}

// killLeader ends the server that leads the stream, and returns its name.
func (c *cluster) killLeader(ctx context.Context) (string, error) {
	l, err := connect(c.url())
	if err != nil {
		return "", err
	}
	defer l.close()
	stream, err := l.js.Stream(ctx, "ASYNCMETRIC")
	if err != nil {
		return "", err
	}
	name := stream.CachedInfo().Cluster.Leader
	for i, o := range c.options {
		if o.ServerName == name {
			c.servers[i].Shutdown()
			c.servers[i].WaitForShutdown()
			return name, nil
		}
	}
	return "", errors.New("the stream has no leader")
}

func (c *cluster) stop() error {
	for _, s := range c.servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
	return os.RemoveAll(c.dir)
}

// A link is a connection to the cluster, of one application or relay.
type link struct {
	conn   *nats.Conn
	js     natsjs.JetStream
	closed chan struct{} // closed when the connection is
}

func connect(url string) (*link, error) {
	l := &link{closed: make(chan struct{})}
	var err error
	l.conn, err = nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }))
	if err != nil {
		return nil, err
	}
	if l.js, err = natsjs.New(l.conn); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close closes the connection; a second call does nothing.
func (l *link) close() {
	l.conn.Close()
	<-l.closed
}
