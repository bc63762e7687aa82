package queuetest

// A level is what a series stands at: what was measured since its start, for an
// instrument of any kind. Values are in eighths if they may be fractions.
type level struct {
	value int64
	cells [cells]int64
	falls int
}

// A series that falls begins so high and falls so deep that it never again comes
// to where it was. One that does (10, 2, 12) hides its fall as soon as the point
// in between is joined to the newer one. A queue cannot always know that it must
// keep that point: the one before it may have been delivered already.
const (
	fallBits = 8
	maxFalls = 4
	high     = 1 << (fallBits * (maxFalls + 1))
)

// begin starts the series again: at zero, or high up if it is going to fall.
func (l *level) begin(falls bool) {
	*l = level{}
	if falls {
		l.value = high
		for i := range l.cells {
			l.cells[i] = high / cells
		}
	}
}

// grow adds what was measured between two collections.
func (l *level) grow(n int, in instrument) {
	step := int64(1 + n*7%5)
	for i := range step {
		l.cells[(int64(n)*5+i*i)%cells]++
	}
	if n%2 == 1 && (in.isGauge() || in.isSum() && !in.monotonic) {
		step = -2 * step
	}
	l.value += step
}

// fall makes the series fall without a new start. Every other time only a few
// buckets fall, and the measurements are counted in others.
func (l *level) fall() {
	if l.value < high>>(fallBits*maxFalls) || l.falls == maxFalls {
		return // it would not be deep enough
	}
	l.falls++
	if l.falls%2 == 0 {
		for i := range cells / 4 {
			rest := l.cells[i] >> fallBits
			l.cells[cells-1] += l.cells[i] - rest
			l.cells[i] = rest
		}
		l.value >>= fallBits
		return
	}
	l.value >>= fallBits
	for i := range l.cells {
		l.cells[i] >>= fallBits
	}
}

// amount returns the level as an instrument shows it, with buckets of an
// exponential histogram at a lower scale.
func (l *level) amount(in instrument, lower int) amount {
	a := amount{value: float64(l.value)}
	if !in.isInteger() {
		a.value /= 8
	}
	if in.isSum() || in.isGauge() {
		return a
	}
	for _, n := range l.cells {
		a.count += n
	}
	if in.kind == summary {
		return a
	}
	a.buckets = map[bucket]int64{}
	for i, n := range l.cells {
		switch {
		case n == 0:
		case !in.isExponential():
			a.buckets[bucket{index: i / 4}] += n
		case i == 0:
			a.buckets[bucket{}] += n
		case i < cells/2:
			a.buckets[bucket{-1, i >> lower}] += n
		default:
			a.buckets[bucket{1, i >> lower}] += n
		}
	}
	if in.isExponential() {
		a.scale = baseScale - int32(lower)
	}
	return a
}
