package batch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/batch"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
)

func bytesOfCopy(rm *metricdata.ResourceMetrics) int {
	var buffer batch.Buffer
	batch.Copy(&buffer, rm)
	return buffer.Bytes()
}

func TestBytesIsExactlyWhatACopyInANewBufferTakes(t *testing.T) {
	for name, shape := range memoryShapes {
		for _, points := range []int{0, 1, 7, 1000} {
			rm := shape(points)
			assert.Equal(t, bytesOfCopy(rm), batch.Bytes(rm), "%d points of %s", points, name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		rm := collectionOf(shapes.Draw(t, "shape"))
		require.Equal(t, bytesOfCopy(rm), batch.Bytes(rm))
	})
}

func TestBytesOfNoCollectionIsAnEmptyBuffer(t *testing.T) {
	empty := new(batch.Buffer).Bytes()
	assert.Equal(t, empty, batch.Bytes(nil))
	assert.Equal(t, empty, batch.Bytes(&metricdata.ResourceMetrics{}))
}

func TestBytesCountsSharedBoundsOnceForAMetric(t *testing.T) {
	bounds := []float64{1, 2, 3}
	with := func(bounds ...[]float64) int {
		i := 0
		points := pointsOf(len(bounds), func(p *metricdata.HistogramDataPoint[int64]) { p.Bounds = bounds[i]; i++ })
		return batch.Bytes(collectionWith(histogram(delta, points...)))
	}
	none := with(nil, nil)
	assert.Equal(t, none+3*8, with(bounds, bounds), "the same")
	assert.Equal(t, none+3*8, with(bounds, []float64{1, 2, 3}), "equal")
	assert.Equal(t, none+6*8, with(bounds, []float64{1, 2, 4}), "different")
}

// No arena grows while it is filled, and none has memory to spare.
func TestACopyInANewBufferWastesNothing(t *testing.T) {
	for name, shape := range memoryShapes {
		t.Run(name, func(t *testing.T) {
			rm := shape(1000)
			for operation, fill := range map[string]func(*batch.Buffer){
				"copy":  func(b *batch.Buffer) { batch.Copy(b, rm) },
				"merge": func(b *batch.Buffer) { batch.Merge(b, rm) },
				"part": func(b *batch.Buffer) {
					for part := range batch.Split(rm, 700) {
						part.Copy(b)
						break
					}
				},
			} {
				var buffer batch.Buffer
				fill(&buffer)
				for _, a := range buffer.Arenas() {
					assert.Equal(t, a.Total, a.Len, "%s: %s", operation, a.Element)
				}
			}
		})
	}
}

func TestAMergeInANewBufferAllocatesThePointsOnce(t *testing.T) {
	rm := metrictest.EveryKind(100)
	var buffer batch.Buffer
	batch.Merge(&buffer, rm, rm, rm)
	assert.LessOrEqual(t, buffer.Bytes(), buffer.Used()*21/20)
}

func TestBytesAllocatesNothing(t *testing.T) {
	rm := metrictest.EveryKind(10)
	assert.Zero(t, leastAllocs(func() { batch.Bytes(rm) }))
}
