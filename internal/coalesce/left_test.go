package coalesce

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A step that a Put has caused drops and admits nothing when that Put has ended.
func TestAStepForAPutThatHasEndedDoesNothing(t *testing.T) {
	for _, name := range []string{"dropping", "arrival"} {
		t.Run(name, func(t *testing.T) {
			w, in := stepsOf[name](t)
			before := w.points
			w.begin(in)
			w.run()
			in.Left = true
			e := w.commit()
			assert.Equal(t, Effect{}, e)
			assert.Equal(t, before, w.points)
			requireTables(w)
		})
	}
}

func TestAPieceThatComesBackDuringASeparationMakesAPair(t *testing.T) {
	w := newWorld(t, 100)
	w.puts("a", 1)
	p := w.take()
	w.puts("a", 1)
	w.begin(nil)
	w.run()
	w.giveBack(p)
	w.commit()
	w.work()
	requirePairs(w)
}

func TestAPieceThatComesBackBeforeOneThatIsNotJoinedAnyMoreDoesNotPassIt(t *testing.T) {
	w := newWorld(t, 100)
	for range 5 {
		w.puts("a", 1)
	}
	first, second, third := w.take(), w.take(), w.take()
	w.giveBack(second) // not joined any more, since the third is in flight
	w.end(third)
	w.giveBack(first)
	w.work()
	w.work()
	assert.Equal(t, uint64(2), second.Position)
	requireOrder(w)
}
