package integration

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
)

// A misdeed is what a receiver does with a request instead of taking it and
// saying so.
type misdeed struct {
	takes bool // it first
	http  httpFault
	grpc  grpcFault
}

var none = misdeed{takes: true}

// misdeeds are all there are, apart from going away.
var misdeeds = []misdeed{
	{http: httpStatus(http.StatusServiceUnavailable), grpc: grpcStatus(codes.Unavailable)},
	{http: httpBroken("", reset), grpc: grpcBroken(reset)},
	{takes: true, http: httpBroken(headerBegun, reset), grpc: grpcBroken(reset)},
	{http: httpSilence, grpc: grpcSilence},
	{takes: true, http: httpSilence, grpc: grpcSilence},
	{takes: true, http: httpSlow, grpc: grpcSlow},
}

const slow = 100 * time.Millisecond

func httpSlow(_ http.ResponseWriter, r *http.Request) { pause(r.Context(), slow) }

func grpcSlow(ctx context.Context, _ *listener) (*collectorpb.ExportMetricsServiceResponse, error) {
	pause(ctx, slow)
	return &collectorpb.ExportMetricsServiceResponse{}, nil
}

// misbehave has outages of any kind, none longer than that, until ctx ends.
func (r *receiver) misbehave(ctx context.Context, random *rand.Rand, longest time.Duration) {
	for pause(ctx, upTo(random, longest)); ctx.Err() == nil; pause(ctx, upTo(random, longest)) {
		r.outages++
		end := r.begin(random)
		pause(ctx, upTo(random, longest))
		end()
	}
}

// begin begins an outage and returns how to end it. Besides the misdeeds, there
// are two kinds: any of them, or none, at any request, and going away.
func (r *receiver) begin(random *rand.Rand) (end func()) {
	kind := random.IntN(len(misdeeds) + 2)
	switch kind {
	case len(misdeeds):
		all, own := append(slices.Clone(misdeeds), none), rand.New(rand.NewPCG(random.Uint64(), 0))
		r.do(func() misdeed { return all[own.IntN(len(all))] })
	case len(misdeeds) + 1:
		r.absences++
		r.leave()
		return r.listen
	default:
		r.do(func() misdeed { return misdeeds[kind] })
	}
	return r.behave
}
