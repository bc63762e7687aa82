package jetstream

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

var (
	chaosTime = flag.Duration("chaos", 0, "how long TestChaosKeepsEverythingInOrder makes trouble; 0: 4s, or 15s at full length")
	chaosSeed = flag.Uint64("chaosseed", 0, "its seed; 0: any")
)

// A chaos is a cluster, relays whose lines to it can be cut, and a backend.
type chaos struct {
	t       *testing.T
	random  *rand.Rand
	cluster *cluster
	admin   *nats.Conn
	backend *backend
	opts    []Option
	relays  []*lined
	mended  sync.WaitGroup
	did     map[string]int
}

// A lined relay is behind lines, one to each server.
type lined struct {
	*relay
	lines []*line
}

func (c *chaos) start() {
	r := new(lined)
	var urls []string
	for _, url := range strings.Split(c.cluster.url(), ",") {
		l := newLine(c.t, url)
		r.lines, urls = append(r.lines, l), append(urls, l.url)
	}
	r.relay = startRelay(c.t, strings.Join(urls, ","), c.backend, time.Millisecond, c.opts...)
	c.relays = append(c.relays, r)
}

// pick takes a relay out of those that run.
func (c *chaos) pick() *lined {
	i := c.random.IntN(len(c.relays))
	r := c.relays[i]
	c.relays = append(c.relays[:i], c.relays[i+1:]...)
	return r
}

func (c *chaos) killRelay() {
	c.pick().kill()
	c.start()
}

func (c *chaos) stopRelay() {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	_ = c.pick().exporter.Shutdown(ctx) // may run out of time
	c.start()
}

// cutOff cuts a relay off for a while. It comes back while another one has taken
// its place.
func (c *chaos) cutOff() {
	r := c.pick()
	for _, l := range r.lines {
		l.cut()
	}
	d := time.Duration(c.random.IntN(5000)) * time.Millisecond
	c.mended.Go(func() {
		_ = sleep(context.Background(), d)
		for _, l := range r.lines {
			l.mend()
		}
	})
	c.start()
}

func (c *chaos) restartServer() {
	c.cluster.restart(c.t, c.random.IntN(len(c.cluster.servers)), time.Duration(c.random.IntN(1000))*time.Millisecond)
}

func (c *chaos) changeLeader() {
	subject := "$JS.API.STREAM.LEADER.STEPDOWN.ASYNCMETRIC"
	if p := c.random.IntN(3); p > 0 {
		subject = "$JS.API.CONSUMER.LEADER.STEPDOWN.ASYNCMETRIC." + consumerName(p-1)
	}
	_, _ = c.admin.Request(subject, nil, time.Second) // there may be none at the moment
}

// TestChaosKeepsEverythingInOrder publishes while relays are killed, stopped and
// cut off, servers restarted and leaders deposed, and requires that everything
// comes, and for the first time in order.
func TestChaosKeepsEverythingInOrder(t *testing.T) {
	if *chaosTime == 0 {
		*chaosTime = 4 * time.Second
		if metrictest.Long() {
			*chaosTime = 15 * time.Second
		}
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-chaosseed %d", seed)
	const processes = 4
	c := &chaos{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), cluster: startCluster(t), backend: newBackend(), did: make(map[string]int),
		opts: []Option{quick, WithReplicas(3), WithPartitions(2), WithOverflow(queue.DropNewest)},
	}
	js := connect(t, c.cluster.url())
	c.admin = js.Conn()
	app := newExporter(t, js, c.opts...)
	handOver(t, app, processes, 0, 1)
	for range 2 {
		c.start()
	}
	ctx, stop := context.WithTimeout(t.Context(), *chaosTime)
	defer stop()
	published := make(chan int, 1)
	go func() {
		n := 1
		for ; ctx.Err() == nil; n++ {
			for p := range processes {
				assert.NoError(t, app.Export(waiting(t), ofProcess(p, 3, int64(n))))
			}
			_ = sleep(ctx, 2*time.Millisecond)
		}
		published <- n
	}()
	troubles := map[string]func(){
		"relays killed": c.killRelay, "relays stopped": c.stopRelay, "relays cut off": c.cutOff,
		"servers restarted": c.restartServer, "leaders changed": c.changeLeader,
	}
	names := []string{"relays killed", "relays stopped", "relays cut off", "servers restarted", "leaders changed", "leaders changed"}
	for ctx.Err() == nil {
		name := names[c.random.IntN(len(names))]
		troubles[name]()
		c.did[name]++
		_ = sleep(ctx, time.Duration(c.random.IntN(1500))*time.Millisecond)
	}
	n := <-published
	c.mended.Wait()
	again := c.backend.await(t, processes, n)
	t.Logf("%d collections, %d of them again; %s", processes*n, again, fmt.Sprint(c.did))
	for _, r := range c.relays {
		requireConserved(t, r.queue)
	}
	require.Positive(t, n)
}
