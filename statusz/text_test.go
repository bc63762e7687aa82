package statusz

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsInvisibleIsWrittenOut(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain, é, 日本, שלום": "plain, é, 日本, שלום",
		"two\n\tlines":       "two\n\tlines",
		"a\r\nb\x00":         "a\\u{D}\nb\\u{0}",
		"\u202Eabc\u2069":    "\\u{202E}abc\\u{2069}",
		"a\u00ADb\uFEFF":     "a\\u{AD}b\\u{FEFF}",
		"\u2028\u2029":       "\\u{2028}\\u{2029}",
		"\U000E0041\uE000":   "\\u{E0041}\\u{E000}",
		"\xC3(\xFF":          "\uFFFD(\uFFFD",
		"cut \xE2\x82":       "cut \uFFFD\uFFFD",
	} {
		assert.Equal(t, want, visible(in), "%q", in)
	}
}

func TestANameIsSplitBeforeItsLastPart(t *testing.T) {
	for name, want := range map[string][2]string{
		"github.com/asyncmetric/asyncmetric.Exporter/0":  {"github.com/asyncmetric/", "asyncmetric.Exporter/0"},
		"github.com/asyncmetric/asyncmetric.Exporter/12": {"github.com/asyncmetric/", "asyncmetric.Exporter/12"},
		"mine": {"", "mine"}, "": {"", ""}, "7": {"", "7"}, "a/b": {"a/", "b"}, "\u202Ea/b": {"\\u{202E}a/", "b"},
	} {
		assert.Equal(t, want, splitName(name), name)
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	for n, want := range map[int]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1", -999: "-999", -1000: "-1,000",
	} {
		assert.Equal(t, want, number(n))
	}
	assert.Equal(t, "18,446,744,073,709,551,615", number(^uint64(0)))
}

func TestRatesAreShort(t *testing.T) {
	for perSecond, want := range map[float64]string{
		0: "0", 0.001: "< 0.01", 0.01: "0.01", 0.456: "0.46", 1: "1", 9.96: "10", 12.34: "12.3", 99.94: "99.9",
		100.4: "100", 1234.5: "1,235", 1e6: "1,000,000", 1e18: "1e+18",
	} {
		assert.Equal(t, want, rate(perSecond), "%v", perSecond)
	}
}

func TestPercent(t *testing.T) {
	for part, want := range map[float64]string{
		0: "0 %", 0.0004: "< 0.1 %", 0.001: "0.1 %", 0.047: "4.7 %", 0.05: "5 %", 0.5: "50 %", 0.999: "100 %", 1.04: "104 %",
	} {
		assert.Equal(t, want, percent(part), "%v", part)
	}
}

func TestSizesAreInBinaryUnits(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 99*1024 + 512: "99.5 KiB", 100*1024 + 512: "100 KiB",
		1<<20 - 1: "1 MiB", 64 << 20: "64 MiB", 12_900_000: "12.3 MiB", 1 << 30: "1 GiB", 3 << 40: "3 TiB", 1<<63 - 1: "8192 PiB",
	} {
		assert.Equal(t, want, size(bytes), "%d", bytes)
	}
}

func TestDurationsHaveTwoUnitsAtMost(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0 s", 0.04: "0 s", 0.44: "0.4 s", 9.94: "9.9 s", 9.96: "10 s", 59.4: "59 s", 59.6: "1 min",
		65: "1 min 5 s", 3600: "1 h", 3660: "1 h 1 min", 90000: "1 d 1 h", 86400 * 400: "400 d",
	} {
		assert.Equal(t, want, duration(seconds), "%v", seconds)
	}
}

func TestTimesAreRelativeToNow(t *testing.T) {
	assert.Equal(t, "just now", ago(0.9))
	assert.Equal(t, "2 s ago", ago(2.9))
	assert.Equal(t, "1 min ago", ago(60))
	assert.Equal(t, "in 3 s", until(2.1))
	assert.Equal(t, "now", until(0))
	assert.Equal(t, "now", until(-5))
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	assert.Equal(t, "2026-01-02 02:04:05 UTC", clock(at))
	assert.Equal(t, "2026-01-02T02:04:05Z", machine(at))
}
