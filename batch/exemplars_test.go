package batch_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

// withoutExemplars removes all exemplars from rm, by reflection, and returns
// how many there were.
func withoutExemplars(rm *metricdata.ResourceMetrics) int {
	n := 0
	for _, m := range allMetrics(rm) {
		if !slices.Contains(knownKinds, reflect.TypeOf(m.Data)) {
			continue
		}
		points := reflect.ValueOf(m.Data).FieldByName("DataPoints")
		for i := range points.Len() {
			if e := points.Index(i).FieldByName("Exemplars"); e.IsValid() {
				n += e.Len()
				e.SetZero()
			}
		}
	}
	return n
}

func TestDropExemplarsRemovesThemAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := shapes.Draw(t, "shape")
		want := collectionOf(shape)
		exemplars := withoutExemplars(want)
		var buffer batch.Buffer
		batch.Copy(&buffer, collectionOf(shape))
		require.Equal(t, exemplars, buffer.Exemplars())
		require.Equal(t, exemplars, buffer.DropExemplars())
		if exemplars > 0 { // otherwise empty slices stay
			requireEqual(t, want, buffer.Collection())
		}
		require.Zero(t, buffer.Exemplars())
		require.Zero(t, buffer.DropExemplars())
	})
}

func TestDropExemplarsFreesAllTheirMemory(t *testing.T) {
	for name, shape := range memoryShapes {
		t.Run(name, func(t *testing.T) {
			bare := shape(1000)
			withoutExemplars(bare)
			var buffer batch.Buffer
			batch.Copy(&buffer, shape(1000))
			buffer.DropExemplars()
			assert.Equal(t, batch.Bytes(bare), buffer.Bytes())
			assert.LessOrEqual(t, buffer.Used(), buffer.Bytes())
		})
	}
}

func TestTheHeapShrinksByWhatDropExemplarsFrees(t *testing.T) {
	rm := memoryShapes["exemplars"](20_000)
	var buffer batch.Buffer
	batch.Copy(&buffer, rm)
	heap, bytes := heapInUse(), buffer.Bytes()
	buffer.DropExemplars()
	heap -= heapInUse()
	bytes -= buffer.Bytes()
	t.Logf("%d bytes fewer in the buffer, %d in the heap", bytes, heap)
	assert.InEpsilon(t, heap, bytes, 0.05)
	assert.Equal(t, 20_000*4, withoutExemplars(rm), "the source keeps its own")
}

func TestABufferThatDroppedExemplarsCanBeFilledAgain(t *testing.T) {
	rm := metrictest.EveryKind(20)
	var buffer batch.Buffer
	for range 3 {
		requireEqual(t, rm, batch.Copy(&buffer, rm))
		assert.Positive(t, buffer.DropExemplars())
	}
}

func TestExemplarsOfAJoinedCollectionAreCounted(t *testing.T) {
	older, newer := metrictest.EveryKind(20), metrictest.EveryKind(30)
	for name, fill := range map[string]func(*batch.Buffer){
		"merge":    func(b *batch.Buffer) { batch.Merge(b, older, newer) },
		"coalesce": func(b *batch.Buffer) { batch.Coalesce(b, older, newer) },
	} {
		var buffer batch.Buffer
		fill(&buffer)
		counted := buffer.Exemplars()
		assert.Equal(t, withoutExemplars(buffer.Collection()), counted, name)
	}
}

// The first call in each round is the only one that has anything to do, so the
// rounds include the copy: compare with the copy alone.
func BenchmarkDropExemplars(b *testing.B) {
	const points = 3000
	source := metrictest.Numbers(points, 1)
	for _, m := range allMetrics(source) {
		p := m.Data.(metricdata.Sum[int64]).DataPoints
		p[0].Exemplars = make([]metricdata.Exemplar[int64], 1)
	}
	var buffer batch.Buffer
	b.Run("op=copy", func(b *testing.B) {
		benchmarkPerPoint(b, points, func() { batch.Copy(&buffer, source) })
	})
	b.Run("op=copy and drop", func(b *testing.B) {
		benchmarkPerPoint(b, points, func() { batch.Copy(&buffer, source); buffer.DropExemplars() })
	})
}
