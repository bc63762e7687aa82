package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
)

// figure writes a value with three significant digits and its unit.
func figure(v float64, u measure.Unit) string {
	switch u {
	case measure.Seconds:
		return seconds(v)
	case measure.Nanosecond:
		return digits(v) + " ns"
	case measure.PerSecond:
		return large(v) + "/s"
	case measure.Bytes:
		return digits(v) + " B"
	case measure.Percent:
		return percent(v) + " %"
	default:
		return digits(v)
	}
}

// percent writes one decimal, and does not round to all or nothing what is not.
func percent(v float64) string {
	rounded := math.Round(v*10) / 10
	switch {
	case rounded == 100 && v < 100:
		rounded = 99.9
	case rounded == 0 && v > 0:
		rounded = 0.1
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

func seconds(v float64) string {
	switch {
	case v >= 1:
		return digits(v) + " s"
	case v >= 1e-3:
		return digits(v*1e3) + " ms"
	default:
		return digits(v*1e6) + " µs"
	}
}

func large(v float64) string {
	switch {
	case v >= 1e6:
		return digits(v/1e6) + " million"
	case v >= 1e3:
		return digits(v/1e3) + " thousand"
	default:
		return digits(v)
	}
}

// digits writes three significant digits, or all of those before the point.
func digits(v float64) string {
	switch abs := math.Abs(v); {
	case abs < 0.0005:
		return "0"
	case abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		s := strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(abs)))), 64)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
}

// ratio writes how many times the base a value is.
func ratio(v, base float64) string {
	switch r := v / base; {
	case base == 0:
		return ""
	case r == 1:
		return "1x"
	case r >= 100:
		return fmt.Sprintf("%.0fx", r)
	case r >= 10:
		return fmt.Sprintf("%.1fx", r)
	default:
		return fmt.Sprintf("%.2fx", r)
	}
}

// spread writes from what to what the repetitions went, with the unit of the
// median left out where it is the same.
func spread(s measure.Sample, u measure.Unit) string {
	low, high := figure(s.Min(), u), figure(s.Max(), u)
	if len(s) < 2 || low == high {
		return ""
	}
	lowNumber, lowUnit, _ := strings.Cut(low, " ")
	_, highUnit, _ := strings.Cut(high, " ")
	if lowUnit == highUnit {
		low = lowNumber
	}
	return fmt.Sprintf("(%s to %s)", low, high)
}
