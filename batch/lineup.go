package batch

// A lineup is what several lists have in common: a row for each key, in the
// order of their first occurrence, with the elements of that key.
type lineup[K comparable, E any] struct {
	rows  []row[K, E]
	index map[K]int // where they are
}

// A row is the elements of several lists that belong together.
type row[K comparable, E any] struct {
	key      K
	elements []*E // at least one, in the order of the lists
}

// lineUp lines up the lists of all sources by the keys of their elements. A key
// may depend on how many elements came before.
func lineUp[S, E any, K comparable](sources []*S, list func(*S) []E, key func(e *E, before int) K) *lineup[K, E] {
	total := 0
	for _, source := range sources {
		total += len(list(source))
	}
	var l lineup[K, E]
	places := make([]int, 0, total) // the row of each element
	for i, source := range sources {
		elements := list(source)
		if i == 0 {
			l.rows = make([]row[K, E], 0, len(elements))
			l.index = make(map[K]int, len(elements))
		}
		last := -1
		for j := range elements {
			last = l.place(last+1, key(&elements[j], len(places)))
			places = append(places, last)
		}
	}
	fill(&l, sources, list, places)
	return &l
}

// place returns the row of a key, which is likely to be next: mostly all lists
// are in one order.
func (l *lineup[K, E]) place(next int, key K) int {
	if next < len(l.rows) && l.rows[next].key == key {
		return next
	}
	place, known := l.index[key]
	if !known {
		place = len(l.rows)
		l.index[key] = place
		l.rows = append(l.rows, row[K, E]{key: key})
	}
	return place
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
