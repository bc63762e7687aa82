package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	goleak.VerifyTestMain(m)
}

// TestTheWrappedPipelineLosesNothing runs the whole program. How the bare
// pipeline does in so short an outage depends on the machine: that it lost
// something is not asserted.
func TestTheWrappedPipelineLosesNothing(t *testing.T) {
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{"-protocol", protocol, "-scale", "0.1", "-json"}, &stdout, &stderr)
			require.Zero(t, code, stderr.String())

			var got report
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &got), "stdout holds nothing but JSON")
			assert.Equal(t, protocol, got.Protocol)
			for _, b := range []balance{got.Wrapped.Counters, got.Wrapped.Histograms} {
				assert.Positive(t, b.Counted)
				assert.Equal(t, b.Counted, b.Received)
				assert.Zero(t, b.Lost)
				assert.Zero(t, b.Duplicated)
			}
			assert.Equal(t, got.Bare.Counters.Counted, got.Wrapped.Counters.Counted, "both count the same application")
			assert.Positive(t, got.Bare.Collections)
			assert.Positive(t, got.Wrapped.Collections)

			for _, phase := range append(script(1), phase{name: "drain"}) {
				assert.Contains(t, stderr.String(), phase.name)
			}
		})
	}
}

func TestAnInterruptEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	assert.Equal(t, 1, run(ctx, nil, io.Discard, &stderr))
	assert.Contains(t, stderr.String(), context.Canceled.Error())
}

func TestArguments(t *testing.T) {
	tests := map[string]struct {
		args    []string
		code    int
		message string
	}{
		"help":             {[]string{"-h"}, 0, "-protocol http or grpc"},
		"unknown flag":     {[]string{"-x"}, 2, "-x"},
		"argument":         {[]string{"grpc"}, 2, `unexpected argument "grpc"`},
		"unknown protocol": {[]string{"-protocol", "udp"}, 2, `-protocol "udp"`},
		"no time at all":   {[]string{"-scale", "0"}, 2, "-scale 0"},
		"not a number":     {[]string{"-scale", "NaN"}, 2, "-scale NaN"},
		"no address":       {[]string{"-http", "8080"}, 2, `-http "8080": want host:port`},
		"no such port":     {[]string{"-http", ":none"}, 2, "-http: listen tcp"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			assert.Equal(t, tt.code, run(t.Context(), tt.args, io.Discard, &stderr))
			assert.Contains(t, stderr.String(), tt.message)
		})
	}
}
