package queuetest

import "pgregory.net/rapid"

// traits are what a source is like. The zero value of each is the quiet one.
type traits struct {
	steady    int // series of each instrument that are in each collection
	sometimes int // those in every other collection
	oneOff    int // those in one collection, which never come again

	pieces   int  // in how many pieces a collection is cut, at most
	moveCuts bool // the cuts are not where they were the last time

	resets    int // how often all cumulative series start again, at most
	falls     int // how often they fall without a new start, as observed counters of a kernel do
	backwards int // how often the clock steps back

	deltas bool // all instruments that can be are of delta temporality
}

// drawTraits draws any traits. What a claim does not allow, it takes out.
func drawTraits(t *rapid.T) traits {
	oneIn := func(n int) bool { return rapid.IntRange(0, n-1).Draw(t, "trait") == 0 }
	some := traits{
		steady:    rapid.SampledFrom([]int{1, 1, 2, 3, 6, 20}).Draw(t, "steady"),
		sometimes: rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "sometimes"),
		pieces:    rapid.SampledFrom([]int{1, 1, 2, 3, 5}).Draw(t, "pieces"),
		moveCuts:  oneIn(2),
		resets:    rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "resets"),
		falls:     rapid.SampledFrom([]int{0, 0, 0, 1, 2, maxFalls}).Draw(t, "falls"),
		backwards: rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "backwards"),
	}
	if oneIn(3) {
		some.oneOff = rapid.IntRange(1, 4).Draw(t, "one-off")
	}
	return some
}
