package spool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/otlp"
	"github.com/asyncmetric/asyncmetric/queue"
	"github.com/asyncmetric/asyncmetric/spool/frame"
)

// realistic returns a collection of n mixed points whose values and times
// differ as those of a program do: counters of very different rates, gauges
// with noise, histograms around some latency.
func realistic(n int, seed uint64) *metricdata.ResourceMetrics {
	r := rand.New(rand.NewPCG(seed, 4))
	rm := metrictest.Mixed(n)
	end := metrictest.Epoch.Add(time.Duration(seed)*time.Minute + time.Duration(r.IntN(1e9)))
	begin := end.Add(-time.Minute)
	for _, m := range rm.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for i := range data.DataPoints {
				p := &data.DataPoints[i]
				p.StartTime, p.Time, p.Value = begin, end, int64(r.ExpFloat64()*float64(int(1)<<(i%16)))
			}
		case metricdata.Gauge[float64]:
			for i := range data.DataPoints {
				p := &data.DataPoints[i]
				p.StartTime, p.Time, p.Value = begin, end, 100+10*r.NormFloat64()
			}
		case metricdata.Histogram[float64]:
			for i := range data.DataPoints {
				p := &data.DataPoints[i]
				p.StartTime, p.Time, p.Count, p.Sum = begin, end, 0, 0
				peak := i % len(p.BucketCounts)
				for j := range p.BucketCounts {
					far := (j - peak) * (j - peak)
					p.BucketCounts[j] = uint64(r.ExpFloat64() * 1000 / float64(1+far*far))
					p.Count += p.BucketCounts[j]
					p.Sum += float64(p.BucketCounts[j]) * 100 * r.Float64()
				}
				p.Min, p.Max = metricdata.NewExtrema(r.Float64()), metricdata.NewExtrema(100+1000*r.Float64())
			}
		}
	}
	return rm
}

const benchPoints = 3000

// The rival is to write the same bytes to a file and sync it.
func BenchmarkPut(b *testing.B) {
	rm := realistic(benchPoints, 1)
	record, err := frame.EncodeCollection(rm, frame.MaxSize)
	require.NoError(b, err)
	for _, sync := range []bool{true, false} {
		name := fmt.Sprintf("sync=%v", sync)
		b.Run("op=spool/"+name, func(b *testing.B) {
			q := openBench(b, sync)
			for b.Loop() {
				require.NoError(b, q.Put(context.Background(), rm))
			}
		})
		b.Run("op=write/"+name, func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			require.NoError(b, err)
			defer func() { _ = f.Close() }()
			for b.Loop() {
				_, err := f.Write(record)
				require.NoError(b, err)
				if sync {
					require.NoError(b, f.Sync())
				}
			}
		})
	}
	b.Run("op=spool/producers=8", func(b *testing.B) {
		q := openBench(b, true)
		b.SetParallelism(4) // on 2 processors
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = q.Put(context.Background(), rm)
			}
		})
	})
}

func openBench(b *testing.B, sync bool) *Queue {
	b.Helper()
	opts := []Option{WithMaxBytes(64 << 30)}
	if !sync {
		opts = append(opts, WithNoSync())
	}
	q, _ := open(b, b.TempDir(), opts...)
	return q
}

func BenchmarkPutOfOnePoint(b *testing.B) {
	q := openBench(b, false)
	for b.Loop() {
		require.NoError(b, q.Put(context.Background(), metrictest.Numbers(1, 1)))
	}
}

func BenchmarkTakeAndSettle(b *testing.B) {
	for _, sync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			q := openBench(b, sync)
			rm := realistic(benchPoints, 1)
			for range b.N {
				require.NoError(b, q.Put(context.Background(), rm))
			}
			b.ResetTimer()
			for range b.N {
				e, err := q.Take(context.Background(), queue.Limit{})
				require.NoError(b, err)
				require.NoError(b, e.Settle(queue.Outcome{Exported: e.Points()}))
			}
			b.ReportMetric(float64(b.N)*benchPoints/b.Elapsed().Seconds(), "points/s")
		})
	}
}

// BenchmarkCoalesce puts into a full queue: each joins a pair or itself.
func BenchmarkCoalesce(b *testing.B) {
	var rms []*metricdata.ResourceMetrics
	for seed := range 16 {
		rms = append(rms, realistic(benchPoints, uint64(seed)))
	}
	q, _ := open(b, b.TempDir(), WithNoSync(), WithMaxBytes(2<<20))
	for i := range 200 {
		require.NoError(b, q.Put(context.Background(), rms[i%16]))
	}
	for i := 0; b.Loop(); i++ {
		require.NoError(b, q.Put(context.Background(), rms[i%16]))
	}
}

func BenchmarkOpen(b *testing.B) {
	const records = 100_000
	dir := b.TempDir()
	q, _ := open(b, dir, WithNoSync())
	record, err := frame.EncodeCollection(metrictest.Numbers(100, 1), frame.MaxSize)
	require.NoError(b, err)
	x := index{points: 100, size: int64(len(record)), oldest: time.Now(), newest: time.Now(), parts: 1}
	require.NoError(b, q.Close())
	s, err := openStore(q.path(), true)
	require.NoError(b, err)
	for at := uint64(1); at < records; at += 1000 {
		var c change
		for i := range uint64(1000) {
			c.writes = append(c.writes, write{at + i, record, x.encode(at + i)})
			c.last = at + i
		}
		require.NoError(b, s.apply(&c))
	}
	require.NoError(b, s.close())
	info, err := os.Stat(q.path())
	require.NoError(b, err)
	for b.Loop() {
		q, err := Open(dir)
		require.NoError(b, err)
		require.Equal(b, records, q.Stats().Collections)
		require.NoError(b, q.Close())
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}

// BenchmarkSize reports what a point takes on disk, of ten collections.
func BenchmarkSize(b *testing.B) {
	var plain, records int
	for b.Loop() {
		plain, records = 0, 0
		for seed := range 10 {
			data, err := otlp.Append(nil, realistic(benchPoints, uint64(seed)))
			require.NoError(b, err)
			record, err := frame.Append(nil, data)
			require.NoError(b, err)
			plain += len(data)
			records += len(record)
		}
	}
	b.ReportMetric(float64(plain)/10/benchPoints, "OTLP-B/point")
	b.ReportMetric(float64(records)/10/benchPoints, "B/point")
	b.ReportMetric(float64(records)/float64(plain), "ratio")
}
