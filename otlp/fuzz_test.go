package otlp_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/internal/otlptest"
	"github.com/asyncmetric/asyncmetric/otlp"
)

// Whatever its input is, Decode does not panic and does not take much memory.
// What it returns, it returns again for what Append makes of it; and where the
// generated types of OTLP can read the input, it means the same as what they
// write.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(encoded(f, metrictest.EveryKind(2)))
	f.Add(encoded(f, metrictest.Mixed(3)))
	f.Add(encoded(f, otlptest.Oddities()))
	for _, bomb := range bombs(1 << 8) {
		f.Add(bomb)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		before := allocated()
		rm, err := otlp.Decode(input)
		require.LessOrEqual(t, allocated()-before, memoryFor(len(input)))
		if err != nil {
			var damage *otlp.DecodeError
			require.ErrorAs(t, err, &damage)
			require.LessOrEqual(t, damage.Offset, len(input))
			return
		}
		means := otlptest.Meaning(rm)
		require.Equal(t, means, otlptest.Meaning(recoded(t, rm)))

		message := &metricspb.ResourceMetrics{}
		if proto.Unmarshal(input, message) != nil {
			return // a known field in a oneof that another one replaces, for example
		}
		canonical, err := proto.Marshal(message)
		require.NoError(t, err)
		require.Equal(t, means, otlptest.Meaning(decoded(t, canonical)))
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(everyCollectionComesBack))
}

// memoryFor returns how much memory Decode may allocate for so many bytes of
// input: what its documentation says, and some that tests have running beside.
func memoryFor(input int) uint64 { return 1<<18 + 200*uint64(input) }

// allocated returns how much memory has ever been allocated.
func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}
