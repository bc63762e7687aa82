package coalesce

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A machine puts, takes and makes room in any order, one goroutine's worth of
// each.
type machine struct {
	*world
	in       *Incoming // waits for room
	accepted int
	ran      bool
}

// admitIfThereIsRoom puts in what waits for room, as a queue does between two
// steps.
func (m *machine) admitIfThereIsRoom() {
	if m.in != nil && (m.Len() == 0 || m.fits(m.in.Points, 0)) {
		m.put(m.in.Data)
		m.admitted()
	}
}

func (m *machine) admitted() {
	m.accepted += m.in.Points
	m.in = nil
}

// requireNothingLost requires that no data got lost or came twice: each point is
// somewhere, and was only joined or dropped where a step said so.
func (m *machine) requireNothingLost() {
	inFlight := 0
	for _, p := range m.flight {
		inFlight += p.Points()
	}
	require.Equal(m, m.accepted, m.Points()+inFlight+m.ended+m.effects.Joined+m.effects.Dropped)
}

func drawCollection(t *rapid.T, w *world) []int {
	w.reported++
	first := rapid.SampledFrom([]int{0, 0, 0, 2, 4, stubborn, 10_000}).Draw(t, "first series")
	if first == 10_000 {
		first += 10 * int(w.reported) // ones that come once
	}
	return span(first, first+rapid.IntRange(1, 6).Draw(t, "points"))
}

func TestABacklogStaysSoundWhateverOvertakesItsSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{world: newWorld(t, rapid.IntRange(5, 40).Draw(t, "bound"))}
		commit := func() {
			sums := m.sums()
			in, forgotten := m.in, m.effects.Dropped
			e := m.commit()
			if e.Admitted {
				addSums(sums, in.Data)
				m.admitted()
			}
			if m.effects.Dropped == forgotten {
				require.True(t, maps.Equal(sums, m.sums()), "a step changed a sum without a drop")
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				if m.in != nil {
					return
				}
				series := drawCollection(t, m.world)
				rm := collect(rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "resource"), m.reported, series...)
				if rapid.IntRange(0, 4).Draw(t, "exemplars") == 0 {
					withExemplars(rm)
				}
				if m.Len() == 0 || m.fits(len(series), 0) {
					m.put(rm)
					m.accepted += len(series)
				} else {
					m.in = m.incoming(rm)
				}
			},
			"next": func(t *rapid.T) { // get a step, run it, or commit it
				switch {
				case m.step != nil && m.ran:
					commit()
					return
				case m.step != nil:
					require.GreaterOrEqual(t, m.step.Bytes(), 0)
					m.run()
					m.ran = true
					return
				}
				m.admitIfThereIsRoom()
				if rapid.IntRange(0, 9).Draw(t, "bare") == 0 {
					if m.step = m.Bare(); m.step != nil {
						m.pool.working, m.ran = true, false
						return
					}
				}
				m.ran = false
				require.True(t, m.begin(m.in) || m.in == nil, "nothing to do, but no room")
			},
			"whole step": func(*rapid.T) {
				if m.step != nil {
					return
				}
				m.admitIfThereIsRoom()
				if m.begin(m.in) {
					m.run()
					commit()
				}
			},
			"take": func(*rapid.T) {
				if m.Len() == 0 {
					return
				}
				m.take()
			},
			"return": func(t *rapid.T) {
				if len(m.flight) == 0 {
					return
				}
				p := m.flight[rapid.IntRange(0, len(m.flight)-1).Draw(t, "piece")]
				if overtakes && m.isPassed(p) {
					return
				}
				m.giveBack(p)
			},
			"end": func(t *rapid.T) {
				if len(m.flight) == 0 {
					return
				}
				m.end(m.flight[rapid.IntRange(0, len(m.flight)-1).Draw(t, "piece")])
			},
			"drop": func(t *rapid.T) {
				if m.Len() == 0 || rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
					return
				}
				p := m.Next()
				m.effects.Dropped += p.Points()
				m.Drop(p)
				m.Free(p.Buffer)
			},
			"": func(t *rapid.T) {
				requireCounts(m.world)
				requireOrder(m.world)
				if m.step == nil {
					requireSound(m.world)
				}
				m.requireNothingLost()
			},
		})
	})
}
