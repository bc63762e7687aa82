package integration

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fills are metrics of exporters whose names say which bound they are nearer to.
const fills = `load 1m
	asyncmetric_queue_size{of="points"} 90x5
	asyncmetric_queue_size{of="bytes"} 90x5
	asyncmetric_queue_size{of="onlybytes"} 90x5
	asyncmetric_queue_size{of="unknown"} 90x5
	otel_sdk_exporter_metric_data_point_inflight{of="points"} 5x5
	otel_sdk_exporter_metric_data_point_inflight{of="bytes"} 65x5
	asyncmetric_queue_capacity{of="points"} 100x5
	asyncmetric_queue_capacity{of="bytes"} 100x5
	asyncmetric_queue_usage_bytes{of="points"} 400x5
	asyncmetric_queue_usage_bytes{of="bytes"} 900x5
	asyncmetric_queue_usage_bytes{of="onlybytes"} 950x5
	asyncmetric_queue_limit_bytes{of="points"} 1000x5
	asyncmetric_queue_limit_bytes{of="bytes"} 1000x5
	asyncmetric_queue_limit_bytes{of="onlybytes"} 1000x5
	asyncmetric_queue_limit_bytes{of="unknown"} 1000x5
`

// evaluate returns the result of a query by the name of the exporter. Each
// series of fills has the labels that those of an exporter have.
func evaluate(t *testing.T, query string) map[string]float64 {
	t.Helper()
	storage := promqltest.LoadedStorage(t, strings.ReplaceAll(fills, "{of=",
		`{job="j", instance="i", otel_component_type="github.com/asyncmetric/asyncmetric.Exporter", otel_component_name=`))
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	defer func() { assert.NoError(t, engine.Close()) }()
	for _, name := range []string{"job", "instance", "otel_component_name"} {
		query = strings.ReplaceAll(query, `"$`+name+`"`, `".*"`)
	}
	q, err := engine.NewInstantQuery(t.Context(), storage, nil, query, time.Unix(60, 0))
	require.NoError(t, err)
	defer q.Close()
	vector, err := q.Exec(t.Context()).Vector()
	require.NoError(t, err)
	values := make(map[string]float64)
	for _, sample := range vector {
		values[sample.Metric.Get("otel_component_name")] = sample.F
	}
	return values
}

func TestFillIsTheLargerShareOfTheTwoBounds(t *testing.T) {
	want := map[string]float64{"points": 0.85, "bytes": 0.9, "onlybytes": 0.95}
	d := readDashboard(t)
	found := 0
	for _, p := range d.Panels {
		if p.Title != "Queue fill" {
			continue
		}
		found++
		if p.Type == "stat" {
			assert.Equal(t, map[string]float64{"": 0.95}, evaluate(t, p.Targets[0].Expr), "that of the fullest queue")
		} else {
			assert.Equal(t, want, evaluate(t, p.Targets[0].Expr))
		}
	}
	assert.Equal(t, 2, found)

	manual, err := os.ReadFile("../../../docs/operating.md")
	require.NoError(t, err)
	for _, block := range queryBlock.FindAllStringSubmatch(string(manual), -1) {
		if strings.Contains(block[1], "limit_bytes") {
			assert.Equal(t, want, evaluate(t, block[1]))
			found++
		}
	}
	assert.Equal(t, 3, found)
}
