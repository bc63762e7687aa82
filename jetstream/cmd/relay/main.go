// Command relay delivers what applications have handed over to a stream of
// NATS JetStream to a backend that understands OTLP. As many as are wanted may
// run; they divide the partitions of the stream, and take over from each other.
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=https://backend:4318 relay -nats nats://broker:4222 -creds relay.creds
//
// The backend, with its headers, certificates, compression and timeout, is that
// of the standard variables OTEL_EXPORTER_OTLP_* and OTEL_EXPORTER_OTLP_METRICS_*;
// the protocol among them is grpc or http/protobuf, which is the default.
//
// On the address of -http, which is loopback unless told otherwise, /healthz
// answers 200 while the broker is connected and the stream has been found, and 503
// otherwise; /statusz shows what the relay is doing. Nothing asks who is looking.
// The log is JSON, on standard error.
//
// On SIGTERM and SIGINT the relay delivers what it has begun, gives back the
// rest to the stream, and ends. The exit code is 0 then, 1 if something went
// wrong, and 2 if the arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	s, err := parse(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		log.Error("wrong arguments", "error", err)
		return 2
	}
	r, err := start(ctx, s, log)
	if err != nil && ctx.Err() == nil {
		log.Error("cannot start", "error", err)
		return 1
	}
	if r == nil {
		log.Info("stopped before the broker was reached")
		return 0
	}
	select {
	case <-ctx.Done():
		log.Info("stopping", "deadline", s.drain.String())
	case err := <-r.broken:
		log.Error("the status page ended", "error", err)
		_ = r.close(s.drain)
		return 1
	case <-r.closed:
		log.Error("the connection to the broker has been closed")
		_ = r.close(s.drain)
		return 1
	}
	if err := r.close(s.drain); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	log.Info("stopped")
	return 0
}
