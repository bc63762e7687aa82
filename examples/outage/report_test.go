package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	r := report{
		Protocol: "http",
		Seconds:  20.04,
		Bare: result{
			Counters:      newBalance(1_000_000, 750_000),
			Histograms:    newBalance(4_000, 4_100),
			Collections:   77,
			FailedExports: 42,
			LongestHold:   7500 * time.Millisecond,
			MedianHold:    4 * time.Millisecond,
		},
		Wrapped: result{
			Counters:    newBalance(1_000_000, 1_000_000),
			Histograms:  newBalance(4_000, 4_000),
			Collections: 201,
			LongestHold: 1200 * time.Microsecond,
			MedianHold:  70 * time.Microsecond,
		},
	}
	want := `
OTLP over http, 20.0 s                       bare        wrapped
counters, sum of the increments
  application counted                   1,000,000      1,000,000
  backend received                        750,000      1,000,000
  lost                                    250,000              0
  lost, percent                             25.00           0.00
  duplicated                                    0              0
histograms, number of values
  application counted                       4,000          4,000
  backend received                          4,100          4,000
  lost                                          0              0
  lost, percent                              0.00           0.00
  duplicated                                  100              0
reader
  collections                                  77            201
  failed exports                               42              0
  longest hold                             7.50 s        1.20 ms
  median hold                             4.00 ms        0.07 ms
`
	var got strings.Builder
	require.NoError(t, r.table(&got))
	assert.Equal(t, want, got.String())
}

func TestVerify(t *testing.T) {
	exact := newBalance(10, 10)
	assert.NoError(t, result{Counters: exact, Histograms: exact}.verify())
	assert.ErrorContains(t, result{Counters: newBalance(10, 9), Histograms: exact}.verify(), "lost 1")
	assert.ErrorContains(t, result{Counters: exact, Histograms: newBalance(10, 12)}.verify(), "duplicated 2")
}

func TestNothingCountedIsNothingLost(t *testing.T) {
	assert.Zero(t, newBalance(0, 0))
}

func TestMedianAndLongest(t *testing.T) {
	times := []time.Duration{9, 1, 5}
	assert.EqualValues(t, 5, median(times))
	assert.EqualValues(t, 9, longest(times))
	assert.Equal(t, []time.Duration{9, 1, 5}, times, "the order is left alone")
	assert.Zero(t, median(nil))
	assert.Zero(t, longest(nil))
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		assert.Equal(t, want, grouped(n))
	}
}
