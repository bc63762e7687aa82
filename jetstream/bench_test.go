package jetstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// BenchmarkRelays is about how many points a second go from a stream through
// relays to a backend that takes 20 ms for each collection.
func BenchmarkRelays(b *testing.B) {
	for _, c := range []struct{ replicas, partitions, relays int }{
		{1, 1, 1}, {1, 1, 2}, {1, 1, 3}, {1, 3, 1}, {1, 3, 2}, {1, 3, 3}, {3, 3, 1}, {3, 3, 3},
	} {
		b.Run(fmt.Sprintf("replicas=%d/partitions=%d/relays=%d", c.replicas, c.partitions, c.relays), func(b *testing.B) {
			benchmarkRelays(b, startServers(b, c.replicas), c.replicas, c.partitions, c.relays)
		})
	}
}

// startServers starts as many servers as a stream is to have replicas, 1 or 3.
func startServers(b *testing.B, replicas int) (url string) {
	b.Helper()
	if replicas == 1 {
		return startServer(b, nil).ClientURL()
	}
	return startCluster(b).url()
}

func benchmarkRelays(b *testing.B, url string, replicas, partitions, relays int) {
	const points = 100
	collections := 360 // in all
	if testing.Short() {
		collections = 6
	}
	opts := []Option{quick, WithPartitions(partitions), WithReplicas(replicas)}
	app := newExporter(b, connect(b, url), opts...)
	processes := spread(b, app, partitions)
	backend := newBackend()
	total := int64(0)
	var started []*relay
	for range relays {
		started = append(started, startRelay(b, url, backend, 20*time.Millisecond, opts...))
	}
	eventually(b, func() bool {
		sum := 0
		for _, r := range started {
			sum += r.queue.share()
		}
		return sum == partitions
	}, "the partitions are divided")
	for b.Loop() {
		for range collections / partitions {
			for _, p := range processes {
				require.NoError(b, app.Export(b.Context(), ofProcess(p, points, total)))
			}
			total++
		}
		for _, p := range processes {
			awaitCount(b, backend, p, int(total))
		}
	}
	b.ReportMetric(float64(total)*float64(len(processes)*points)/b.Elapsed().Seconds(), "points/s")
	b.ReportMetric(0, "ns/op")
}

// spread returns a process for each partition.
func spread(b testing.TB, e *Exporter, partitions int) (processes []int) {
	b.Helper()
	require.NoError(b, e.publisher.find(b.Context()))
	for p := 0; len(processes) < partitions; p++ {
		packed, err := e.publisher.pack(b.Context(), ofProcess(p, 1, 0))
		require.NoError(b, err)
		if e.publisher.writer(packed.resource).partition == len(processes) {
			processes = append(processes, p)
		}
	}
	return processes
}

// awaitCount waits until n collections have come from a process.
func awaitCount(b testing.TB, backend *backend, process, n int) {
	b.Helper()
	for ctx := waiting(b); ; {
		backend.mu.Lock()
		changed, got := backend.changed, len(backend.values[process])
		backend.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.FailNow(b, "not everything has come", "%d of %d", got, n)
		}
	}
}

// BenchmarkPublish compares what an Export does with the bare publication of
// the same bytes, in turn, so that both see the same machine: x-bare is what
// handing over takes, once the bytes are there, in proportion; us/encode is
// what making them takes.
func BenchmarkPublish(b *testing.B) {
	for _, replicas := range []int{1, 3} {
		for _, points := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("replicas=%d/points=%d", replicas, points), func(b *testing.B) {
				benchmarkPublish(b, replicas, metrictest.Mixed(points))
			})
		}
	}
}

func benchmarkPublish(b *testing.B, replicas int, rm *metricdata.ResourceMetrics) {
	js := connect(b, startServers(b, replicas))
	e := newExporter(b, js, WithReplicas(replicas))
	require.NoError(b, e.Export(waiting(b), rm))
	packed, err := e.publisher.pack(b.Context(), rm)
	require.NoError(b, err)
	subject := e.config.partSubject(e.publisher.writer(packed.resource).partition)
	var encoding, wrapped, bare time.Duration
	timed := func(sum *time.Duration, f func()) {
		begin := time.Now()
		f()
		*sum += time.Since(begin)
	}
	n := 0
	for b.Loop() {
		timed(&encoding, func() { packed, err = e.publisher.pack(b.Context(), rm) })
		require.NoError(b, err)
		ours := func() {
			timed(&wrapped, func() { err = e.publisher.send(b.Context(), packed, func(record, ack) {}) })
			require.NoError(b, err)
		}
		theirs := func() {
			timed(&bare, func() {
				msg := nats.NewMsg(subject)
				msg.Data = packed.records[0].data
				_, err = js.PublishMsg(b.Context(), msg)
			})
			require.NoError(b, err)
		}
		if n%2 == 0 { // who goes first finds the caches full of the encoding
			ours()
			theirs()
		} else {
			theirs()
			ours()
		}
		n++
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
	b.ReportMetric(micros(encoding), "us/encode")
	b.ReportMetric(micros(wrapped), "us/publish")
	b.ReportMetric(micros(bare), "us/bare")
	b.ReportMetric(float64(wrapped)/float64(bare), "x-bare")
	b.ReportMetric(float64(len(packed.records[0].data))/float64(batch.Points(rm)), "bytes/point")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTakeover is about how long it takes, once a relay is dead, until
// another one delivers what was its share.
func BenchmarkTakeover(b *testing.B) {
	takeovers := []time.Duration{2 * time.Second, 5 * time.Second}
	if testing.Short() {
		takeovers = takeovers[:1]
	}
	for _, takeover := range takeovers {
		b.Run(takeover.String(), func(b *testing.B) {
			url := startServer(b, nil).ClientURL()
			opts := []Option{WithTakeover(takeover), WithPartitions(1)}
			app := newExporter(b, connect(b, url), opts...)
			backend := newBackend()
			next := startRelay(b, url, backend, 0, opts...)
			n := 0
			var sum time.Duration
			for b.Loop() {
				doomed := next
				next = startRelay(b, url, backend, 0, opts...)
				handOver(b, app, 1, n, 10)
				awaitCount(b, backend, 0, n+10)
				if next.queue.share() > 0 { // the ids decide who delivers
					doomed, next = next, doomed
				}
				doomed.kill()
				begin := time.Now()
				handOver(b, app, 1, n+10, 10)
				awaitCount(b, backend, 0, n+20)
				sum += time.Since(begin)
				n += 20
			}
			b.ReportMetric(sum.Seconds()*20/float64(n), "s/takeover")
			b.ReportMetric(0, "ns/op")
		})
	}
}
