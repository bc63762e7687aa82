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

// grpcCodes has what becomes of a batch that is answered with each code, alone
// and with a delay in RetryInfo.
var grpcCodes = []struct {
	code         codes.Code
	alone, delay verdict
}{
	{codes.Canceled, again, againAfterDelay},
	{codes.Unknown, again, againAfterDelay},
	{codes.InvalidArgument, never, never},
	{codes.DeadlineExceeded, again, againAfterDelay},
	{codes.NotFound, again, againAfterDelay},
	{codes.AlreadyExists, again, againAfterDelay},
	{codes.PermissionDenied, again, againAfterDelay},
	{codes.ResourceExhausted, again, againAfterDelay},
	{codes.FailedPrecondition, again, againAfterDelay},
	{codes.Aborted, again, againAfterDelay},
	{codes.OutOfRange, verdict{retry: true, repeats: true}, verdict{retry: true, repeats: true, after: delay}},
	{codes.Unimplemented, again, againAfterDelay},
	{codes.Internal, again, againAfterDelay},
	{codes.Unavailable, again, againAfterDelay},
	{codes.DataLoss, again, againAfterDelay},
	{codes.Unauthenticated, again, againAfterDelay},
}

func TestOTLPOverGRPCIsSentAgainUnlessTheDataIsBad(t *testing.T) {
	for _, tt := range grpcCodes {
		t.Run(tt.code.String(), func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint { return openGRPC(t, grpcStatus(tt.code)) }, tt.alone)
		})
		t.Run(tt.code.String()+" with a delay", func(t *testing.T) {
			testFault(t, func(t *testing.T) endpoint { return openGRPC(t, grpcStatus(tt.code, help, retryInfo)) }, tt.delay)
		})
	}
}

func TestOTLPOverGRPCIsSentAgainAsRetryInfoSays(t *testing.T) {
	for name, tt := range map[string]struct {
		fault grpcFault
		want  verdict
	}{
		"ResourceExhausted with no delay":     {grpcStatus(codes.ResourceExhausted, noDelay), again},
		"ResourceExhausted with other detail": {grpcStatus(codes.ResourceExhausted, help), again},
		"Unavailable with a negative delay":   {grpcStatus(codes.Unavailable, negative), again},
		"Unavailable with an endless delay": {
			grpcStatus(codes.Unavailable, endlessDelay), verdict{retry: true, after: math.MaxInt64},
		},
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
