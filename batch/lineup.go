package batch

// A lineup is a table of what several lists have in common: a row for each
// element that differs, in the order of their first occurrence. The nth
// elements of one key are in the same row.
type lineup[K comparable, E any] struct {
	rows []row[K, E]

	// Where the rows are. Mostly all lists are in one order and nobody asks, so
	// it is made late. Until then the ith row has the ith elements, and nth has
	// not been counted.
	index map[occurrence[K]]int
}

// A row is the elements of several lists that belong together.
type row[K comparable, E any] struct {
	occurrence[K]
	newest   int  // the list that its last element is from
	elements []*E // at least one, in the order of the lists
}

// An occurrence is the nth, from 0, of the elements of a list that have one key.
type occurrence[K comparable] struct {
	key K
	nth int
}

// lineUp lines up the lists of all sources by the keys of their elements. A key
// may depend on how many elements came before.
func lineUp[S, E any, K comparable](sources []*S, list func(*S) []E, key func(e *E, before int) K) *lineup[K, E] {
	total := 0
	for _, source := range sources {
		total += len(list(source))
	}
	l := new(lineup[K, E])
	places := make([]int, 0, total) // the row of each element
	for i, source := range sources {
		elements := list(source)
		if i == 0 {
			l.rows = make([]row[K, E], 0, len(elements))
		}
		last := -1
		for j := range elements {
			last = l.place(i, last+1, key(&elements[j], len(places)))
			places = append(places, last)
		}
	}
	fill(l, sources, list, places)
	return l
}

// place returns the row of an element of a list, which is most likely next.
func (l *lineup[K, E]) place(list, next int, key K) int {
	o := occurrence[K]{key: key}
	switch {
	case list == 0:
		next = l.newRow(o)
	case next == len(l.rows) || l.rows[next].occurrence != o || l.rows[next].newest == list:
		next = l.find(o, list)
	}
	l.rows[next].newest = list
	return next
}

// find returns the row of an occurrence or, if that has an element of the list,
// of the next one of the same key.
func (l *lineup[K, E]) find(o occurrence[K], list int) int {
	if l.index == nil {
		l.makeIndex()
	}
	for ; ; o.nth++ {
		place, known := l.index[o]
		if !known {
			place = l.newRow(o)
			l.index[o] = place
			return place
		}
		if l.rows[place].newest != list {
			return place
		}
	}
}

func (l *lineup[K, E]) makeIndex() {
	l.index = make(map[occurrence[K]]int, len(l.rows))
	for i := range l.rows {
		o := &l.rows[i].occurrence
		for _, taken := l.index[*o]; taken; _, taken = l.index[*o] {
			o.nth++
		}
		l.index[*o] = i
	}
}

func (l *lineup[K, E]) newRow(o occurrence[K]) int {
	l.rows = append(l.rows, row[K, E]{occurrence: o, newest: -1})
	return len(l.rows) - 1
}

// fill puts the elements into their rows, all in one piece of memory.
func fill[S, E any, K comparable](l *lineup[K, E], sources []*S, list func(*S) []E, places []int) {
	sizes := make([]int, len(l.rows))
	for _, place := range places {
		sizes[place]++
	}
	memory := make([]*E, len(places))
	for i, size := range sizes {
		l.rows[i].elements, memory = memory[:0:size], memory[size:]
	}
	for _, source := range sources {
		elements := list(source)
		for j := range elements {
			r := &l.rows[places[j]]
			r.elements = append(r.elements, &elements[j])
		}
		places = places[len(elements):]
	}
}
