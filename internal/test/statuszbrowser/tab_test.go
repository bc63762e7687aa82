package statuszbrowser

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// look is how someone looks at the page.
type look struct {
	scheme        string // of colours: light or dark
	width, height int64
}

var looks = []look{
	{"light", 360, 740}, {"dark", 360, 740},
	{"light", 1280, 900}, {"dark", 1280, 900},
}

func (l look) String() string { return fmt.Sprintf("%s-%dx%d", l.scheme, l.width, l.height) }

// tab is a tab of the browser. It has the methods of the test that opened it.
type tab struct {
	*testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what came on the console
}

// openTab opens a tab that closes with the test.
func openTab(t *testing.T, l look) *tab {
	t.Helper()
	requireBrowser(t)
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	require.NoError(t, chromedp.Do(ctx)) // opens it for as long as its context lasts

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	b := &tab{T: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	b.do(chromedp.EmulateViewport(l.width, l.height, l.mobile), l.emulateScheme)
	return b
}

// mobile makes a small window that of a phone, which heeds the viewport of the
// page.
func (l look) mobile(metrics *emulation.SetDeviceMetricsOverrideParams, _ *emulation.SetTouchEmulationEnabledParams) {
	metrics.Mobile = l.width < 500
}

func (l look) emulateScheme(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
	_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	return none, err
}

// do performs what someone does who looks.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	require.NoError(b, chromedp.Do(b.ctx, actions...))
}

// listen remembers everything that a browser can complain about.
func (b *tab) listen(event any) {
	var complaint string
	switch event := event.(type) {
	case *log.EventEntryAdded:
		complaint = event.Entry.Text
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprint("console.", event.Type)
	case *runtime.EventExceptionThrown:
		complaint = event.ExceptionDetails.Text
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, complaint)
}

func (b *tab) console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.complaints...)
}

// evaluate returns what a script says about the page. The policy of the page
// does not concern it.
func evaluate[T any](b *tab, script string) T {
	b.Helper()
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	require.NoError(b, err)
	return result
}

// keep writes a screenshot of the whole page.
func (b *tab) keep(name string) {
	b.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b, err)
	dir := *screenshots
	if dir == "" {
		dir = b.ArtifactDir()
	}
	require.NoError(b, os.MkdirAll(dir, 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

var (
	//go:embed testdata/contrast.js
	contrastScript string
	//go:embed testdata/overflow.js
	overflowScript string
)
