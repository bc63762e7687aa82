package statusz

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/asyncmetric/asyncmetric"
)

// refresh is how long the page waits before it loads itself again.
const refresh = 2 * time.Second

var (
	//go:embed page.gohtml
	pageSource string
	//go:embed page.css
	styleSource string

	// A browser hashes what it has parsed, without any carriage return that a
	// checkout may have brought in.
	style = strings.ReplaceAll(styleSource, "\r\n", "\n")

	// contentSecurityPolicy allows the style above and nothing else.
	contentSecurityPolicy = "default-src 'none'; style-src 'sha256-" + hashOf(style) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		"ago": ago, "badge": badge, "bar": newBar, "clock": clock, "count": number[int], "duration": duration,
		"machine": machine, "percent": percent, "plots": newPlots, "rate": rate, "size": size, "splitName": splitName,
		"summary": summary, "total": number[uint64], "until": until, "visible": visible,
	}).Parse(pageSource))
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// page makes HTML of reports.
type page struct{ paused bool }

func (p page) render(rep report) ([]byte, error) {
	var body bytes.Buffer
	err := pageTemplate.Execute(&body, struct {
		report
		Style   template.CSS
		Paused  bool
		Refresh int // seconds
		Width   int
		Height  int
	}{rep, template.CSS(style), p.paused, int(refresh.Seconds()), plotWidth, plotHeight})
	return body.Bytes(), err
}

// badge returns the class for the colours of a state.
func badge(s asyncmetric.State) string {
	switch s {
	case asyncmetric.StateDelivering:
		return "good"
	case asyncmetric.StateBackingOff:
		return "bad"
	case asyncmetric.StateDraining:
		return "busy"
	default:
		return "quiet"
	}
}

// summary says how many exporters are in which state.
func summary(exporters []exporter) string {
	if len(exporters) == 0 {
		return "No exporters"
	}
	var states []asyncmetric.State
	counts := map[asyncmetric.State]int{}
	for _, e := range exporters {
		if counts[e.State]++; counts[e.State] == 1 {
			states = append(states, e.State)
		}
	}
	var parts []string
	for _, s := range states {
		parts = append(parts, fmt.Sprintf("%d %s", counts[s], visible(string(s))))
	}
	return strings.Join(parts, ", ")
}

// bar is how full a queue is, as a drawing.
type bar struct {
	Width string // in percent
	Level string // the class of its colour
}

func newBar(part float64) bar {
	b := bar{Width: coordinate(100 * min(1, part)), Level: "roomy"}
	switch {
	case part >= 0.95:
		b.Level = "full"
	case part >= 0.75:
		b.Level = "filling"
	}
	return b
}
