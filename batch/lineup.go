package batch

import "slices"

// A lineup is a table of what several lists have in common: a row for each
// element that differs, in the order of their first occurrence, and a column
// for each list. The nth elements of one key are in the same row.
type lineup[K comparable, E any] struct {
	columns int
	cells   []*E            // row by row; nil where a list does not have the element
	rows    []occurrence[K] // what is in them
	last    int             // where the last element was put

	// Where the rows are. Mostly all lists are in one order and nobody asks, so
	// it is made late. Until then the ith row has the ith elements, and nth has
	// not been counted.
	index map[occurrence[K]]int
}

// An occurrence is the nth, from 0, of the elements of a list that have one key.
type occurrence[K comparable] struct {
	key K
	nth int
}

// lineUp lines up the lists of all sources by the keys of their elements. A key
// may depend on how many elements came before.
func lineUp[S, E any, K comparable](sources []*S, list func(*S) []E, key func(e *E, before int) K) *lineup[K, E] {
	l := &lineup[K, E]{columns: len(sources)}
	before := 0
	for column, source := range sources {
		elements := list(source)
		if column == 0 {
			l.rows = make([]occurrence[K], 0, len(elements))
			l.cells = make([]*E, 0, len(elements)*l.columns)
		}
		l.last = -1
		for i := range elements {
			l.add(column, key(&elements[i], before+i), &elements[i])
		}
		before += len(elements)
	}
	return l
}

func (l *lineup[K, E]) add(column int, key K, e *E) {
	first := occurrence[K]{key: key}
	switch next := l.last + 1; {
	case column == 0:
		l.last = l.newRow(first)
	case next < len(l.rows) && l.rows[next] == first && *l.cell(next, column) == nil:
		l.last = next
	default:
		l.last = l.find(first, column)
	}
	*l.cell(l.last, column) = e
}

// find returns the row of an occurrence or, if that has something in the
// column, of the next one of the same key.
func (l *lineup[K, E]) find(o occurrence[K], column int) int {
	if l.index == nil {
		l.makeIndex()
	}
	for ; ; o.nth++ {
		row, known := l.index[o]
		if !known {
			row = l.newRow(o)
			l.index[o] = row
			return row
		}
		if *l.cell(row, column) == nil {
			return row
		}
	}
}

func (l *lineup[K, E]) makeIndex() {
	l.index = make(map[occurrence[K]]int, len(l.rows))
	for i := range l.rows {
		o := &l.rows[i]
		for _, taken := l.index[*o]; taken; _, taken = l.index[*o] {
			o.nth++
		}
		l.index[*o] = i
	}
}

func (l *lineup[K, E]) newRow(o occurrence[K]) int {
	l.rows = append(l.rows, o)
	l.cells = append(l.cells, make([]*E, l.columns)...)
	return len(l.rows) - 1
}

func (l *lineup[K, E]) cell(row, column int) **E { return &l.cells[row*l.columns+column] }

// row returns the elements of a row, at least one, in the order of the lists.
// It may be called once for each row.
func (l *lineup[K, E]) row(i int) []*E {
	cells := l.cells[i*l.columns : (i+1)*l.columns]
	return slices.DeleteFunc(cells, func(e *E) bool { return e == nil })
}
