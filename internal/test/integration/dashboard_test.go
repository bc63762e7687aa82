package integration

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A dashboard is what of Grafana's JSON matters here.
type dashboard struct {
	UID           string
	Title         string
	Tags          []string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               struct{ UID string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []target
}

type target struct {
	Expr, LegendFormat, RefID string
	Datasource                struct{ UID string }
}

type variable struct {
	Name, Type, Definition string
	Query                  any // depends on the type
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../../../dashboards/asyncmetric.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

func (d *dashboard) targets() (all []target) {
	for _, p := range d.Panels {
		all = append(all, p.Targets...)
	}
	return all
}

func (d *dashboard) variable(name string) bool {
	for _, v := range d.Templating.List {
		if v.Name == name {
			return true
		}
	}
	return strings.HasPrefix(name, "__") // one of Grafana's own
}

var (
	variables   = regexp.MustCompile(`\$\{?(\w+)`)
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// parse parses a query, with something in place of Grafana's variables.
func parse(t *testing.T, query string) parser.Expr {
	t.Helper()
	query = strings.ReplaceAll(query, "$__rate_interval", "5m")
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	require.NoError(t, err, query)
	return expr
}

// selectors returns the metrics that a query uses, with what it demands of
// their labels.
func selectors(expr parser.Expr) (list []*parser.VectorSelector) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			list = append(list, s)
		}
		return nil
	})
	return list
}

// assertLabels demands that there is each metric that expr uses, that it has
// the labels that expr demands, and those by which expr groups it.
func (c catalog) assertLabels(t *testing.T, expr parser.Expr) {
	t.Helper()
	for _, s := range selectors(expr) {
		has, ok := c[s.Name]
		assert.True(t, ok, "no metric %s in %s", s.Name, expr)
		for _, m := range s.LabelMatchers {
			assert.True(t, m.Name == model.MetricNameLabel || has[m.Name], "%s has no label %s in %s", s.Name, m.Name, expr)
		}
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if by, ok := node.(*parser.AggregateExpr); ok {
			for _, s := range selectors(by.Expr) {
				for _, label := range by.Grouping {
					assert.True(t, c[s.Name][label], "%s has no label %s in %s", s.Name, label, expr)
				}
			}
		}
		return nil
	})
}

func TestDashboardUsesOnlyWhatExists(t *testing.T) {
	series, _ := catalogOf(t, ownMetrics(t))
	d := readDashboard(t)
	for _, target := range d.targets() {
		expr := parse(t, target.Expr)
		series.assertLabels(t, expr)
		for _, s := range selectors(expr) {
			for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				assert.True(t, series[s.Name][label[1]], "%s has no label %s for its legend", s.Name, label[1])
			}
			assert.Contains(t, s.String(), `otel_component_name=~"$otel_component_name"`)
			if strings.HasPrefix(s.Name, "otel_") { // other components have it too
				assert.Contains(t, s.String(), `otel_component_type="github.com/asyncmetric/asyncmetric.Exporter"`)
			}
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		parts := labelValues.FindStringSubmatch(v.Definition)
		require.NotNil(t, parts, v.Definition)
		expr := parse(t, parts[1])
		series.assertLabels(t, expr)
		assert.True(t, series[selectors(expr)[0].Name][parts[2]], v.Definition)
		assert.Equal(t, v.Definition, v.Query.(map[string]any)["query"])
	}
}

func TestDashboardShowsEveryMetric(t *testing.T) {
	_, names := catalogOf(t, ownMetrics(t))
	assert.Len(t, names, 14)
	shown := make(map[string]bool)
	d := readDashboard(t)
	for _, target := range d.targets() {
		for _, s := range selectors(parse(t, target.Expr)) {
			shown[strings.TrimSuffix(s.Name, "_bucket")] = true
		}
	}
	for _, name := range names {
		assert.True(t, shown[name], name)
	}
}

func TestDashboardIsWellFormed(t *testing.T) {
	d := readDashboard(t)
	assert.Equal(t, "asyncmetric", d.UID)
	assert.NotEmpty(t, d.Title)
	assert.Contains(t, d.Tags, "asyncmetric")
	assert.GreaterOrEqual(t, d.SchemaVersion, 39)
	assert.True(t, d.variable("datasource"))
	assert.True(t, d.variable("otel_component_name"))

	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "two panels have the ID %d", p.ID)
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				assert.Less(t, cell[0], 24)
				assert.Empty(t, cells[cell], "%s lies on another panel", p.Title)
				cells[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		assert.NotEmpty(t, p.Title)
		assert.NotEmpty(t, p.Description, p.Title)
		assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		assert.NotEmpty(t, p.Targets, p.Title)
		assert.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			assert.False(t, refs[target.RefID], "%s has two queries %s", p.Title, target.RefID)
			refs[target.RefID] = true
			assert.Equal(t, "${datasource}", target.Datasource.UID, p.Title)
			for _, v := range variables.FindAllStringSubmatch(target.Expr, -1) {
				assert.True(t, d.variable(v[1]), "%s uses the variable %s", p.Title, v[1])
			}
		}
	}
}
