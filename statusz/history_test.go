package statusz

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRatesAreDifferencesDividedByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := show(f)
		look := func() exporter { return decode(t, get(h, "/?format=json")).Exporters[0] }

		f.count(1_000_000, 999_000, 0, 0)
		first := look()
		assert.Nil(t, first.Rates, "one sample makes no rate")
		assert.Empty(t, first.History)

		time.Sleep(2 * time.Second)
		f.count(100, 50, 20, 10)
		second := look()
		want := perSecond{Accepted: 50, Exported: 25, Coalesced: 10, Dropped: 5}
		assert.Equal(t, &rates{
			Current: want, Mean: want, Max: want, CurrentSeconds: 2, WindowSeconds: 2,
		}, second.Rates)

		time.Sleep(8 * time.Second)
		f.count(8, 80, 0, 0)
		third := look()
		assert.Equal(t, &rates{
			Current: perSecond{Accepted: 1, Exported: 10},
			Mean:    perSecond{Accepted: 10.8, Exported: 13, Coalesced: 2, Dropped: 1},
			Max:     want, CurrentSeconds: 8, WindowSeconds: 10,
		}, third.Rates)
		require.Len(t, third.History, 2)
		assert.Equal(t, second.History[0], third.History[0])
		assert.Equal(t, interval{
			Time: time.Now().UTC(), Seconds: 8, perSecond: perSecond{Accepted: 1, Exported: 10},
		}, third.History[1])
	})
}

func TestSamplesAreASecondApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := show(f)
		look := func() exporter { return decode(t, get(h, "/?format=json")).Exporters[0] }

		look()
		time.Sleep(time.Second - time.Nanosecond)
		f.count(30, 0, 0, 0)
		early := look()
		assert.Nil(t, early.Rates)
		assert.EqualValues(t, 30, early.Totals.Accepted, "only the samples wait")

		time.Sleep(time.Nanosecond)
		assert.Equal(t, 30.0, look().Rates.Current.Accepted)
		time.Sleep(time.Second / 2)
		f.count(30, 0, 0, 0)
		assert.Equal(t, 30.0, look().Rates.Current.Accepted, "the rate stays until the next sample")
	})
}

func TestHistoryIsBounded(t *testing.T) {
	tests := map[string]struct {
		every   time.Duration
		samples int
		span    time.Duration
	}{
		"in number": {time.Second, maxSamples, (maxSamples - 1) * time.Second},
		"in time":   {time.Minute, 11, maxAge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				h := show(f)
				for range 3 * maxSamples {
					f.count(1, 0, 0, 0)
					h.report()
					time.Sleep(tt.every)
				}
				samples := h[0].history.samples
				require.Len(t, samples, tt.samples)
				assert.LessOrEqual(t, cap(samples), 2*maxSamples)
				assert.Equal(t, tt.span, samples[tt.samples-1].at.Sub(samples[0].at))
				assert.EqualValues(t, 3*maxSamples, samples[tt.samples-1].counters.accepted, "the newest are kept")
			})
		})
	}
}

func TestALongPauseBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := show(f)
		h.report()
		time.Sleep(2 * time.Second)
		h.report()
		time.Sleep(maxAge + time.Nanosecond)
		f.count(1, 0, 0, 0)
		assert.Nil(t, h.report().Exporters[0].Rates)
	})
}

func TestACounterThatWentBackHasNoRate(t *testing.T) {
	at := time.Now()
	got := between(
		sample{at, counters{accepted: 10, exported: 10}},
		sample{at.Add(time.Second), counters{accepted: 4, exported: 12}},
	)
	assert.Equal(t, perSecond{Exported: 2}, got.perSecond)
}

func TestASampleOutOfOrderIsLeftOut(t *testing.T) {
	at := time.Now()
	var h history
	h.add(sample{at: at})
	h.add(sample{at: at.Add(-5 * time.Second)})
	assert.Len(t, h.samples, 1)
}
