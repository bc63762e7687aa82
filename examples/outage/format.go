package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// grouped writes n with a comma between groups of three digits.
func grouped[N int | int64](n N) string {
	if n < 0 {
		return "-" + grouped(-n)
	}
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// short writes d in seconds, or in milliseconds below one second.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// clock writes d in hours, minutes and seconds without those at its end that
// are zero.
func clock(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
