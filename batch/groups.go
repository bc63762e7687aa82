package batch

// groups are the elements of several lists, grouped by their keys. The groups
// are in the order in which their keys occur first.
type groups[K comparable, E any] struct {
	all   []group[K, E]
	index map[K]int // the place of each key in all
}

// A group is the elements that have one key.
type group[K comparable, E any] struct {
	key      K
	elements []*E // at least one, in the order of the lists
}

// groupBy groups the elements of the lists of all sources by their keys. A key
// may depend on the number of elements before.
func groupBy[S, E any, K comparable](sources []*S, list func(*S) []E, key func(e *E, before int) K) *groups[K, E] {
	total := 0
	for _, source := range sources {
		total += len(list(source))
	}
	var g groups[K, E]
	places := make([]int, 0, total) // the group of each element
	for i, source := range sources {
		elements := list(source)
		if i == 0 {
			g.all = make([]group[K, E], 0, len(elements))
			g.index = make(map[K]int, len(elements))
		}
		last := -1
		for j := range elements {
			last = g.place(last+1, key(&elements[j], len(places)))
			places = append(places, last)
		}
	}
	fill(&g, sources, list, places)
	return &g
}

// place returns the place of a key. It tries next first, because the lists
// mostly have the same order.
func (g *groups[K, E]) place(next int, key K) int {
	if next < len(g.all) && g.all[next].key == key {
		return next
	}
	place, known := g.index[key]
	if !known {
		place = len(g.all)
		g.index[key] = place
		g.all = append(g.all, group[K, E]{key: key})
	}
	return place
}

// fill puts the elements into their groups, all in one piece of memory.
func fill[S, E any, K comparable](g *groups[K, E], sources []*S, list func(*S) []E, places []int) {
	sizes := make([]int, len(g.all))
	for _, place := range places {
		sizes[place]++
	}
	memory := make([]*E, len(places))
	for i, size := range sizes {
		g.all[i].elements, memory = memory[:0:size], memory[size:]
	}
	for _, source := range sources {
		elements := list(source)
		for j := range elements {
			to := &g.all[places[j]]
			to.elements = append(to.elements, &elements[j])
		}
		places = places[len(elements):]
	}
}
