package batch

import "reflect"

// An Arena is what tests may know of an arena in a buffer.
type Arena struct {
	Element reflect.Type
	Len     int       // elements that it has memory for, in the current chunk
	Used    int       // elements in use, in the current chunk
	Total   int       // elements in use, in all chunks
	Clean   bool      // all elements of the current chunk that are not in use are zero
	Filled  []uintptr // where those are that are in use and not zero
}

// Arenas returns all arenas of b. It finds them by reflection and not through
// each, so that tests notice one that each forgets.
func (b *Buffer) Arenas() []Arena { return arenasIn(reflect.ValueOf(b).Elem()) }

func arenasIn(v reflect.Value) []Arena {
	var found []Arena
	for i := range v.NumField() {
		field := v.Field(i)
		if field.Kind() != reflect.Struct {
			continue
		}
		if chunk := field.FieldByName("chunk"); chunk.IsValid() {
			found = append(found, arenaOf(field, chunk))
			continue
		}
		found = append(found, arenasIn(field)...)
	}
	return found
}

func arenaOf(arena, chunk reflect.Value) Arena {
	a := Arena{
		Element: chunk.Type().Elem(),
		Len:     chunk.Len(),
		Used:    int(arena.FieldByName("used").Int()),
		Total:   int(arena.FieldByName("total").Int()),
		Clean:   true,
	}
	for i := range a.Used {
		if e := chunk.Index(i); !e.IsZero() {
			a.Filled = append(a.Filled, e.UnsafeAddr())
		}
	}
	for i := a.Used; i < a.Len; i++ {
		a.Clean = a.Clean && chunk.Index(i).IsZero()
	}
	return a
}

// ForgetLayoutOfSets makes this package not know how a set is made, until the
// function that it returns is called.
func ForgetLayoutOfSets() func() {
	was := dataOffset
	dataOffset = -1
	return func() { dataOffset = was }
}

// DataOffset returns what findDataOffset finds in T.
func DataOffset[T any]() int { return findDataOffset(reflect.TypeFor[T]()) }
