package integration

import (
	"math"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
)

var (
	retryInfo    = &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}
	noDelay      = &errdetails.RetryInfo{}
	endlessDelay = &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: math.MaxInt64}}
	negative     = &errdetails.RetryInfo{RetryDelay: durationpb.New(-delay)}
	help         = &errdetails.Help{}
)

func TestOTLPOverGRPCIsSentAgainAsTheSpecificationSays(t *testing.T) {
	for name, tt := range map[string]struct {
		fault grpcFault
		want  verdict
	}{
		"Canceled":           {grpcStatus(codes.Canceled), again},
		"Unknown":            {grpcStatus(codes.Unknown), never},
		"InvalidArgument":    {grpcStatus(codes.InvalidArgument), never},
		"DeadlineExceeded":   {grpcStatus(codes.DeadlineExceeded), again},
		"NotFound":           {grpcStatus(codes.NotFound), never},
		"AlreadyExists":      {grpcStatus(codes.AlreadyExists), never},
		"PermissionDenied":   {grpcStatus(codes.PermissionDenied), never},
		"ResourceExhausted":  {grpcStatus(codes.ResourceExhausted), never},
		"FailedPrecondition": {grpcStatus(codes.FailedPrecondition), never},
		"Aborted":            {grpcStatus(codes.Aborted), again},
		"OutOfRange":         {grpcStatus(codes.OutOfRange), again},
		"Unimplemented":      {grpcStatus(codes.Unimplemented), never},
		"Internal":           {grpcStatus(codes.Internal), never},
		"Unavailable":        {grpcStatus(codes.Unavailable), again},
		"DataLoss":           {grpcStatus(codes.DataLoss), again},
		"Unauthenticated":    {grpcStatus(codes.Unauthenticated), never},

		"Unavailable with a delay":            {grpcStatus(codes.Unavailable, help, retryInfo), againAfterDelay},
		"ResourceExhausted with a delay":      {grpcStatus(codes.ResourceExhausted, retryInfo), againAfterDelay},
		"ResourceExhausted with no delay":     {grpcStatus(codes.ResourceExhausted, noDelay), again},
		"ResourceExhausted with other detail": {grpcStatus(codes.ResourceExhausted, help), never},
		"InvalidArgument with a delay":        {grpcStatus(codes.InvalidArgument, retryInfo), never},
		"Unavailable with a negative delay":   {grpcStatus(codes.Unavailable, negative), again},
		"Unavailable with an endless delay": {
			grpcStatus(codes.Unavailable, endlessDelay), verdict{retry: true, after: math.MaxInt64},
		},

		"connection refused":       {nil, again},
		"reset without an answer":  {grpcBroken(reset), again},
		"closed without an answer": {grpcBroken(hangUp), again},

		"partial success":          {grpcPartialSuccess(rejected, "too old"), partial},
		"partial success, no text": {grpcPartialSuccess(rejected, ""), partial},
		"success with a warning":   {grpcPartialSuccess(0, "deprecated"), warning},
		"everything rejected":      {grpcPartialSuccess(points, "too old"), never},
		"more rejected than sent":  {grpcPartialSuccess(math.MaxInt64, "too old"), never},
	} {
		t.Run(name, func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint { return openGRPC(t, tt.fault) }, tt.want)
		})
	}
}

func TestOTLPOverGRPCShowsADelayBeyondItsOwnLimit(t *testing.T) {
	testDelayBeyondOwnLimit(t, openGRPC(t, grpcStatus(codes.Unavailable, retryInfo)))
}

func TestOTLPOverGRPCIsSentAgainAfterADeadline(t *testing.T) {
	testDeadlines(t, func(t *testing.T) endpoint { return openGRPC(t, grpcSilence) })
}
