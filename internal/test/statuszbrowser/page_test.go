package statuszbrowser

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/statusz"
)

func TestThePageIsSoundInEveryState(t *testing.T) {
	requireBrowser(t)
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, scene.enter(t))
			for _, l := range looks {
				t.Run(l.String(), func(t *testing.T) {
					b := openTab(t, l)
					b.do(chromedp.Navigate(url + "/?refresh=off"))
					b.assertSound(l)
					assert.Equal(t, "State: "+string(scene.state), evaluate[string](b, `document.querySelector(".badge").textContent`))
					b.keep(strings.ReplaceAll(name, " ", "-") + "-" + l.String())
				})
			}
		})
	}
}

// assertSound demands what every page must be.
func (b *tab) assertSound(l look) {
	b.Helper()
	assert.Empty(b, b.console(), "the console")
	assert.Equal(b, l.width, evaluate[int64](b, `document.documentElement.clientWidth`), "the width of the layout")
	assert.Empty(b, evaluate[[]string](b, overflowScript), "what sticks out")
	assert.Empty(b, evaluate[[]string](b, contrastScript), "what has little contrast")
	assert.Zero(b, evaluate[int](b, `document.querySelectorAll("script, img, iframe, object, link").length`))
	assert.Equal(b, l.scheme == "dark", evaluate[bool](b,
		`getComputedStyle(document.body).backgroundColor.match(/\d+/g).every((c) => c < 128)`), "the colours")
}

func TestHostileTextIsShownAsText(t *testing.T) {
	requireBrowser(t)
	url, _ := serve(t, scenes["backing off"].enter(t))
	b := openTab(t, looks[0])
	b.do(chromedp.Navigate(url + "/?refresh=off"))
	for _, message := range []string{".notice .message", ".errors .message"} {
		assert.Contains(t, evaluate[string](b, `document.querySelector("`+message+`").innerText`), hostileVisible)
	}
	b.assertSound(looks[0])
}

func TestSeveralExportersUnderLoad(t *testing.T) {
	requireBrowser(t)
	exporters := []*asyncmetric.Exporter{start(t, unsteady(), asyncmetric.WithMaxQueueSize(4000))}
	for _, name := range []string{"delivering", "backing off", "draining", "shut down", "unbounded", "idle"} {
		exporters = append(exporters, scenes[name].enter(t))
	}
	url, _ := serve(t, exporters...)
	watched(t, url, func() { load(t, exporters[0]) })
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			b := openTab(t, l)
			b.do(chromedp.Navigate(url + "/?refresh=off"))
			b.assertSound(l)
			assert.Equal(t, len(exporters), evaluate[int](b, `document.querySelectorAll("article").length`))
			assert.Positive(t, evaluate[int](b, `document.querySelectorAll("path.line").length`))
			b.keep("several-" + l.String())
		})
	}
}

// unsteady is an inner exporter that is quick, slow and failing in turns.
func unsteady() *metrictest.Exporter {
	began := time.Now()
	return &metrictest.Exporter{OnExport: func(ctx context.Context, _ *metricdata.ResourceMetrics) error {
		switch second := int(time.Since(began).Seconds()); {
		case second >= 4 && second < 7:
			time.Sleep(500 * time.Millisecond)
		case second == 10:
			return context.Canceled
		}
		return nil
	}}
}

// load exports for some seconds, now more, now less.
func load(t *testing.T, e *asyncmetric.Exporter) {
	for i := range 240 {
		points := 300 + int(200*math.Sin(float64(i)/12))
		assert.NoError(t, e.Export(t.Context(), metrictest.Numbers(points, 1)))
		time.Sleep(50 * time.Millisecond)
	}
}

// watched looks at the page once in a while until work has ended.
func watched(t *testing.T, url string, work func()) {
	ended := make(chan struct{})
	go func() { defer close(ended); work() }()
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := http.Get(url)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

func TestThePageRefreshesByItself(t *testing.T) {
	requireBrowser(t)
	url, requests := serve(t, scenes["delivering"].enter(t))
	b := openTab(t, looks[0])
	b.do(chromedp.Navigate(url))
	b.assertSound(looks[0])
	assert.Contains(t, evaluate[string](b, `document.body.innerText`), "Collecting the first rates.")
	require.Eventually(t, func() bool { return requests.Load() >= 3 }, 30*time.Second, 10*time.Millisecond)
	b.do(chromedp.WaitVisible("path.line"))

	// In one step, so that the page cannot go while the link is looked for.
	evaluate[chromedp.Void](b, `document.querySelector('a[href="?refresh=off"]').click()`)
	b.do(chromedp.WaitVisible(`a[href="?"]`))
	assert.Contains(t, evaluate[string](b, `document.body.innerText`), "Refresh is off.")
	assert.Empty(t, b.console())
}

func TestThePageWithoutExporters(t *testing.T) {
	requireBrowser(t)
	url, _ := serve(t)
	for _, l := range looks {
		b := openTab(t, l)
		b.do(chromedp.Navigate(url))
		b.assertSound(l)
	}
}

// TestTheChecksNoticeWhatIsWrong is the test of the tests.
func TestTheChecksNoticeWhatIsWrong(t *testing.T) {
	requireBrowser(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := httptest.NewRecorder()
		statusz.Handler().ServeHTTP(page, r)
		w.Header().Set("Content-Security-Policy", page.Header().Get("Content-Security-Policy"))
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<meta name="viewport" content="width=device-width"><body bgcolor="#ffffff">
			<script>document.title = "ran"</script><font color="#999999">pale</font><pre>` + strings.Repeat("W", 300) + `</pre>`))
	}))
	defer server.Close()
	b := openTab(t, looks[0])
	b.do(chromedp.Navigate(server.URL))
	assert.NotEmpty(t, b.console(), "a script that the policy forbids")
	assert.NotEqual(t, "ran", evaluate[string](b, `document.title`))
	assert.NotEmpty(t, evaluate[[]string](b, overflowScript))
	assert.Equal(t, []string{"pale: 2.85"}, evaluate[[]string](b, contrastScript))
}
