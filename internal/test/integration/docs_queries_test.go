package integration

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	queryBlock = regexp.MustCompile("(?s)```promql\n(.*?)```")
	metricName = regexp.MustCompile("`((?:asyncmetric|otel_sdk)_[a-z_]+)`")
)

// The queries and names in docs/operating.md are those of the metrics that there
// are.
func TestTheManualNamesOnlyMetricsThatExist(t *testing.T) {
	series, _ := catalogOf(t, ownMetrics(t))
	text, err := os.ReadFile("../../../docs/operating.md")
	require.NoError(t, err)
	queries := queryBlock.FindAllSubmatch(text, -1)
	assert.NotEmpty(t, queries)
	for _, q := range queries {
		series.assertLabels(t, parse(t, string(q[1])))
	}
	for _, name := range metricName.FindAllSubmatch(text, -1) {
		_, ok := series[string(name[1])]
		_, isHistogram := series[string(name[1])+"_bucket"]
		assert.True(t, ok || isHistogram, "no metric %s", name[1])
	}
}
