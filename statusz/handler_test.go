package statusz

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func TestRequestsAndAnswers(t *testing.T) {
	const text, html, json = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
	tests := map[string]struct {
		method, target string
		code           int
		contentType    string
		allow          string
		body           string // part of it
	}{
		"page":                {"GET", "/", 200, html, "", "<!DOCTYPE html>"},
		"page by name":        {"GET", "/?format=html", 200, html, "", "<!DOCTYPE html>"},
		"page at any path":    {"GET", "/debug/asyncmetric", 200, html, "", "<!DOCTYPE html>"},
		"unknown parameter":   {"GET", "/?x=1", 200, html, "", "<!DOCTYPE html>"},
		"JSON":                {"GET", "/?format=json", 200, json, "", `{"time":`},
		"HEAD of the page":    {"HEAD", "/", 200, html, "", ""},
		"HEAD of JSON":        {"HEAD", "/?format=json", 200, json, "", ""},
		"unknown format":      {"GET", "/?format=xml", 400, text, "", `format="xml": want html or json`},
		"long format":         {"GET", "/?format=" + strings.Repeat("x", 50), 400, text, "", `"` + strings.Repeat("x", 40) + `":`},
		"hostile format":      {"GET", "/?format=%3Cb%3E%0A", 400, text, "", `"<b>\n"`},
		"unknown refresh":     {"GET", "/?refresh=5", 400, text, "", `refresh="5": want off`},
		"POST":                {"POST", "/", 405, text, "GET, HEAD", "want GET or HEAD"},
		"PUT":                 {"PUT", "/?format=json", 405, text, "GET, HEAD", "want GET or HEAD"},
		"DELETE":              {"DELETE", "/", 405, text, "GET, HEAD", "want GET or HEAD"},
		"OPTIONS":             {"OPTIONS", "/", 405, text, "GET, HEAD", "want GET or HEAD"},
		"method before query": {"POST", "/?format=xml", 405, text, "GET, HEAD", "want GET or HEAD"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := do(show(&fake{status: busy(time.Now())}), tt.method, tt.target)
			assert.Equal(t, tt.code, got.Code)
			assert.Equal(t, tt.contentType, got.Header().Get("Content-Type"))
			assert.Equal(t, tt.allow, got.Header().Get("Allow"))
			assert.Contains(t, got.Body.String(), tt.body)
			assertProtected(t, got.Header())
			if tt.method == "HEAD" {
				assert.Zero(t, got.Body.Len())
			}
		})
	}
}

// assertProtected demands the headers that every answer has to have.
func assertProtected(t *testing.T, header http.Header) {
	t.Helper()
	assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
	assert.Equal(t, "no-store", header.Get("Cache-Control"))
	assert.Regexp(t, `^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; `+
		`frame-ancestors 'none'; base-uri 'none'; form-action 'none'$`, header.Get("Content-Security-Policy"))
}

func TestHEADHasTheLengthOfGET(t *testing.T) {
	server := httptest.NewServer(Handler())
	defer server.Close()
	for _, query := range []string{"", "?refresh=off"} {
		body := get(Handler(), "/"+query).Body.Len()
		answer, err := server.Client().Head(server.URL + query)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(t, answer.Body.Close())
		assert.Equal(t, strconv.Itoa(body), answer.Header.Get("Content-Length"))
	}
}

func TestANilExporterPanicsAtOnce(t *testing.T) {
	e := started(t)
	assert.PanicsWithValue(t, "statusz: exporter 2 of Handler is nil", func() { Handler(e, nil) })
}

func TestWithoutExportersThePageSaysSo(t *testing.T) {
	assert.Contains(t, get(Handler(), "/").Body.String(), "This handler was given no exporters.")
	assert.Regexp(t, `^\{"time":"[^"]+","exporters":\[\]\}\n$`, get(Handler(), "/?format=json").Body.String())
}

func TestRealExportersAreShownInOrder(t *testing.T) {
	first, second := started(t), started(t)
	require.NoError(t, second.Export(t.Context(), metrictest.Numbers(3, 1)))
	require.NoError(t, second.ForceFlush(t.Context()))

	exporters := decode(t, get(Handler(second, first), "/?format=json")).Exporters
	require.Len(t, exporters, 2)
	assert.Equal(t, second.Status().Name, exporters[0].Name)
	assert.Equal(t, first.Status().Name, exporters[1].Name)
	assert.EqualValues(t, 3, exporters[0].Totals.Exported)
	assert.Zero(t, exporters[1].Totals.Exported)
}

func TestTheArgumentsMayBeReused(t *testing.T) {
	first, second := started(t), started(t)
	exporters := []*asyncmetric.Exporter{first}
	h := Handler(exporters...)
	exporters[0] = second
	assert.Equal(t, first.Status().Name, decode(t, get(h, "/?format=json")).Exporters[0].Name)
}

// TestManyMayLookAtOnce is for the race detector.
func TestManyMayLookAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy(time.Now())}
		h := append(show(f), &watch{source: started(t)})
		var viewers sync.WaitGroup
		for range 8 {
			viewers.Go(func() {
				for _, target := range []string{"/", "/?format=json", "/?refresh=off", "/?format=x"} {
					f.count(10, 5, 3, 2)
					assert.Contains(t, []int{200, 400}, get(h, target).Code)
					time.Sleep(time.Second)
				}
			})
		}
		viewers.Wait()
		assert.Len(t, h[0].history.samples, 3, "eight looked at once, three times")
	})
}

// started returns an exporter that works, until the test ends.
func started(t *testing.T) *asyncmetric.Exporter {
	e, err := asyncmetric.New(&metrictest.Exporter{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	return e
}
