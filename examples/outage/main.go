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
// With -long, the outage lasts a day, simulated in a few seconds. Only a wrapped
// pipeline goes through it. No time passes between two collections: each stands
// for one of a reader that collects every minute. It is read from a ManualReader
// and given to the exporter, which is what a PeriodicReader does. The receiver
// answers 503 all along. The queue is tiny and full after 45 minutes. From then
// on asyncmetric makes one of two collections that wait next to each other: each
// time the outage has become twice as long, the resolution of what waits is
// half, while the queue and the memory stay as large as they are. In the end the
// receiver is healthy, gets what waits, and is compared with the application as
// above. Here the retries of the OTLP exporter are off, as they should be in
// production, and the delays of asyncmetric are short.
//
// With -http, a page shows the exporter of the wrapped pipeline for as long as
// either outage lasts; see package statusz.
//
// The exit code is 0 if every measurement reached the wrapped pipeline's
// receiver exactly once, 1 if not or if the script could not be played to its
// end, 2 if the arguments are wrong or the address of -http cannot be had.
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

	page, err := openStatusPage(cfg.http)
	if err != nil {
		fmt.Fprintln(stderr, "outage:", err)
		return 2
	}
	page.announce(stderr)

	err = demonstrate(ctx, cfg, page, stdout, stderr)
	if err := errors.Join(err, page.close()); err != nil {
		fmt.Fprintln(stderr, "outage:", err)
		return 1
	}
	return 0
}

// demonstrate performs the outage, writes what came of it, and returns an
// error if the wrapped pipeline did not deliver everything once.
func demonstrate(ctx context.Context, cfg config, page *statusPage, stdout, stderr io.Writer) error {
	progress, write := stdout, outcome.table
	if cfg.json {
		progress, write = stderr, outcome.json
	}
	result, err := act(ctx, cfg, page, progress)
	if err != nil {
		return err
	}
	return errors.Join(write(result, stdout), result.verify())
}

// outcome is what came of either outage, the short or the long one.
type outcome interface {
	table(w io.Writer) error // for people
	json(w io.Writer) error  // for programs
	verify() error
}

// act goes through the outage that the command line asks for.
func act(ctx context.Context, cfg config, page *statusPage, progress io.Writer) (outcome, error) {
	if cfg.long {
		return endure(ctx, cfg, page, progress)
	}
	return perform(ctx, cfg, page, progress)
}

// config is what the command line says.
type config struct {
	protocol string
	scale    float64
	long     bool
	json     bool
	http     string // the address of the page; empty: none
}

// parseConfig reads the command line. What is wrong with it is written to
// stderr before it returns an error.
func parseConfig(args []string, stderr io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.protocol, "protocol", "http", "OTLP over `http or grpc`")
	flags.Float64Var(&cfg.scale, "scale", 1, "`factor` for the time that the outage lasts, for a shorter run")
	flags.BoolVar(&cfg.long, "long", false, "go through a day of outage, simulated in seconds")
	flags.BoolVar(&cfg.json, "json", false, "print the result as JSON, the progress to stderr")
	flags.StringVar(&cfg.http, "http", "", "serve a page about the wrapped exporter on `address`, such as :8080")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	address, err := loopback(cfg.http)
	cfg.http = address
	if err := errors.Join(noArguments(flags.Args()), cfg.validate(), err); err != nil {
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
