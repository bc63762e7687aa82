package coalesce

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/ring"
)

// A Piece is a collection that waits, or what has become of it. The fields do
// not change once it has been taken.
type Piece struct {
	Buffer   *batch.Buffer // its data, which does not change while the piece waits
	Sets     int           // estimated bytes of the attribute sets that it alone keeps alive
	Position uint64        // of the oldest Put in it
	Changed  uint64        // position of the Put that changed it last
	Oldest   time.Time     // when its oldest part was accepted
	Newest   time.Time     // when its newest part was accepted

	inFlight      bool
	peers         uint64 // the highest Changed in its round when it was taken
	parts         int    // of that round
	points, bytes int
	round         *round // nil for one that is not joined, see Return

	inOrder, inAges, inRound, inExemplars ring.Node[Piece]
}

// Data returns the data points. The caller must not change them.
func (p *Piece) Data() *metricdata.ResourceMetrics { return p.Buffer.Collection() }

// Points returns the number of data points.
func (p *Piece) Points() int { return p.points }

// isYounger reports whether a later Put changed p than q.
func (p *Piece) isYounger(q *Piece) bool { return q.Changed < p.Changed }

// A round is what a resource reported once, as far as that is known.
type round struct {
	lane     *lane
	number   uint32 // in the table of its lane
	position uint64 // of the oldest Put in it
	parts    int    // of how many rounds it is made
	points   int
	version  int              // changes with the pieces
	pieces   ring.Ring[Piece] // in the order in which Puts changed them
	place    int              // in pairs, with the round before it; -1 if it is not there

	inLane, inUnseparated, inParked ring.Node[round]
}

// before returns the round before r in its lane, or nil.
func (r *round) before() *round { return r.inLane.Prev() }

// after returns the round behind r in its lane, or nil.
func (r *round) after() *round { return r.inLane.Next() }

// isComplete reports whether r is followed by another round of its lane: until
// then more pieces of it may come.
func (r *round) isComplete() bool { return r.after() != nil }

// A lane has the rounds of one resource, in order.
type lane struct {
	key    laneKey
	rounds ring.Ring[round]
	parked ring.Ring[round] // that are not in pairs, see worthwhile
	points int

	// table has the series of all rounds that have been separated. It belongs to
	// the goroutine that works. It is stale where it is not known what it should have.
	table   seriesTable
	stale   bool
	numbers uint32 // of its rounds, so far
	surveys int    // how often the table has been made anew
	weighed int    // bytes of the table, as the backlog counts them
	claim   int    // see Backlog.Claim
}

// worthwhile says when rounds of a lane are joined: at least one of worthwhile
// points of the lane could become part of another one. To save fewer would cost more
// than they are worth. Then the points that a Put changed longest ago go, unless
// their own series has others.
const worthwhile = 16

func (l *lane) isWorthwhile() bool {
	return l.table.duplicates > 0 && worthwhile*l.table.duplicates >= l.points
}

// A laneKey identifies a resource.
type laneKey struct {
	attributes attribute.Distinct
	schemaURL  string
}

func laneKeyOf(rm *metricdata.ResourceMetrics) laneKey {
	return laneKey{rm.Resource.Equivalent(), rm.Resource.SchemaURL()}
}
