package statusz

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// visible returns s with everything written out that has no shape of its own:
// control characters, which could hide text, and format characters, which could
// turn its direction. Lines stay lines. What is not UTF-8 becomes U+FFFD.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == '\u2028' || r == '\u2029' || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
			fmt.Fprintf(&b, "\\u{%X}", r)
		default:
			b.WriteRune(r) // utf8.RuneError for what is not UTF-8
		}
	}
	return b.String()
}

// splitName cuts the name of an exporter before its last part,
// "asyncmetric.Exporter/0", so that a line may end there.
func splitName(name string) [2]string {
	cut := strings.LastIndexByte(strings.TrimRight(name, "0123456789/"), '/') + 1
	return [2]string{visible(name[:cut]), visible(name[cut:])}
}

// number writes n with a comma between groups of three digits.
func number[N int | uint64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// rate writes a number of points in a second: whole above 100, and with two
// digits that count below.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 1e15:
		return fmt.Sprintf("%.3g", perSecond)
	case perSecond >= 100 || perSecond == 0:
		return number(uint64(math.Round(perSecond)))
	case perSecond >= 1:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", perSecond), ".0")
	case perSecond >= 0.01:
		return strconv.FormatFloat(perSecond, 'g', 2, 64)
	default:
		return "< 0.01"
	}
}

// percent writes a part of 1.
func percent(part float64) string {
	switch p := 100 * part; {
	case p > 0 && p < 0.1:
		return "< 0.1 %"
	case p > 0 && p < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0") + " %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// size writes a number of bytes.
func size(bytes int64) string {
	n, units := float64(bytes), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for n >= 1023.5 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	if n >= 100 {
		return fmt.Sprintf("%.0f %s", n, units[0])
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0") + " " + units[0]
}

// duration writes a number of seconds in at most two units.
func duration(seconds float64) string {
	if seconds < 9.95 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", seconds), ".0") + " s"
	}
	s := int64(math.Round(seconds))
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return twoUnits(s/60, "min", s%60, "s")
	case s < 86400:
		return twoUnits(s/3600, "h", s%3600/60, "min")
	default:
		return twoUnits(s/86400, "d", s%86400/3600, "h")
	}
}

func twoUnits(n int64, unit string, rest int64, smaller string) string {
	if rest == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, rest, smaller)
}

// ago says how long ago something was, until in how long it will be.
func ago(seconds float64) string {
	if seconds < 1 {
		return "just now"
	}
	return duration(math.Floor(seconds)) + " ago"
}

func until(seconds float64) string {
	if seconds <= 0 {
		return "now"
	}
	return "in " + duration(math.Ceil(seconds))
}

// clock writes a time of day with its date.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// machine writes a time for the attribute datetime.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }
