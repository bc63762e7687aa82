// Command outage shows what a failing backend does to the metrics of a running
// application, with asyncmetric and without it.
//
// One application counts into one MeterProvider. Two PeriodicReaders collect
// the same instruments every 100 ms. The first reader has the OTLP exporter as
// it is ("bare"), the second one has the same exporter, configured the same
// way, inside asyncmetric ("wrapped"). Each sends to a receiver of its own in
// this program, and both receivers follow one script: healthy, slow, refusing
// connections, answering 503, healthy again. In the end what the application
// counted is compared with what each receiver got.
//
// The exporters have their default configuration, with their own retries;
// only the endpoint, plain text and delta temporality are set. The exporter
// around the wrapped one has its default configuration as well. In production,
// switch the retries of the inner exporter off: asyncmetric retries itself, and
// a flush can cut its back-off short. They are left on here so that both
// pipelines have the same exporter. So the wrapped pipeline, too, may deliver
// nothing until some seconds after the recovery.
//
// The exit code is 0 if every measurement reached the wrapped pipeline's
// receiver exactly once, 1 if not or if the script could not be played to its
// end, 2 if the arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"go.opentelemetry.io/otel"
)

func main() {
	// The readers report each failed export here. The table shows their
	// number; a line for each would hide it.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseConfig(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}

	if err := demonstrate(ctx, cfg, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "outage:", err)
		return 1
	}
	return 0
}

// demonstrate performs the outage, writes what came of it, and returns an
// error if the wrapped pipeline did not deliver everything once.
func demonstrate(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	progress, write := stdout, report.table
	if cfg.json {
		progress, write = stderr, report.json
	}
	result, err := perform(ctx, cfg, progress)
	if err != nil {
		return err
	}
	return errors.Join(write(result, stdout), result.Wrapped.verify())
}

// config is what the command line says.
type config struct {
	protocol string
	scale    float64
	json     bool
}

// parseConfig reads the command line. What is wrong with it is written to
// stderr before it returns an error.
func parseConfig(args []string, stderr io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.protocol, "protocol", "http", "OTLP over `http or grpc`")
	flags.Float64Var(&cfg.scale, "scale", 1, "`factor` for all times of the script, for a shorter run")
	flags.BoolVar(&cfg.json, "json", false, "print the result as JSON, the progress to stderr")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	if err := errors.Join(noArguments(flags.Args()), cfg.validate()); err != nil {
		fmt.Fprintln(stderr, "outage:", err)
		return cfg, err
	}
	return cfg, nil
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

func (c config) validate() error {
	if _, ok := protocols[c.protocol]; !ok {
		return fmt.Errorf("-protocol %q: want http or grpc", c.protocol)
	}
	// Written this way round, the condition refuses NaN too.
	if !(c.scale > 0 && c.scale <= 100) {
		return fmt.Errorf("-scale %v: want more than 0, at most 100", c.scale)
	}
	return nil
}
