package statuszbrowser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

var screenshots = flag.String("screenshots", "", "keep the screenshots in this `directory`")

// browser has the tabs of all tests; nil if there is no browser.
var browser context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	code := func() int {
		path := findChromium()
		if path == "" {
			return m.Run()
		}
		stop, err := startBrowser(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s does not start: %v\n", path, err)
			return 1
		}
		defer stop()
		return m.Run()
	}()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// findChromium returns the path of the browser, "" if there is none.
func findChromium() string {
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if chosen := os.Getenv("CHROMIUM"); chosen != "" {
		names = []string{chosen}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func startBrowser(path string) (stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to have one for root
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		closeBrowser()
		end()
		return nil, err
	}
	browser = ctx
	return func() {
		_ = chromedp.Cancel(ctx) // waits for the browser, which has nothing to say any more
		end()
	}, nil
}

// requireBrowser skips the test where there is no browser, unless there has to
// be one.
func requireBrowser(t *testing.T) {
	t.Helper()
	const missing = "no browser: set CHROMIUM, or install chromium, chromium-browser or google-chrome"
	switch {
	case browser != nil:
	case os.Getenv("CI_BROWSER") == "1":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}
