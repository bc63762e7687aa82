package main

import (
	"fmt"
	"strconv"
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
