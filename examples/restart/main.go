// Command restart shows that what a durable queue has taken survives the
// process.
//
// It starts a process that counts and hands its collections to an exporter
// whose queue is on disk, while the backend answers 503. Then it kills the
// process, without a warning (SIGKILL), and starts the next one on the same
// folder; and so on. At last the backend recovers, the last process delivers
// what it has counted itself and what the killed ones have left, and ends. The
// table compares what all of them counted with what the backend received.
//
// The exit code is 0 if the two are equal, 1 if not or if something else went
// wrong, 2 if the arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var code int
	if job := jobFromEnvironment(); job != nil {
		code = work(ctx, job, os.Stdin, os.Stdout, os.Stderr)
	} else {
		code = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("restart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	kills := flags.Int("kills", 3, "how many processes are killed before the last one")
	collections := flags.Int("collections", 10, "how many collections each process hands over")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *kills < 1 || *collections < 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "restart: -kills and -collections must be at least 1, and there are no other arguments")
		return 2
	}
	if err := perform(ctx, *kills, *collections, stdout); err != nil {
		fmt.Fprintln(stderr, "restart:", err)
		return 1
	}
	return 0
}

// perform plays the script and compares.
func perform(ctx context.Context, kills, collections int, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "restart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	backend, err := newBackend()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.close()) }()

	var counted int64
	for i := range kills + 1 {
		p, err := startProcess(ctx, job{Folder: dir, Endpoint: backend.address})
		if err != nil {
			return err
		}
		n, err := p.count(collections)
		counted += n
		if err != nil {
			return errors.Join(err, p.kill())
		}
		fmt.Fprintf(out, "process %d counted %d in %d collections while the backend was down\n", i+1, n, collections)
		if i < kills {
			if err := p.kill(); err != nil {
				return err
			}
			fmt.Fprintf(out, "process %d was killed\n", i+1)
			continue
		}
		backend.recover()
		begin := time.Now()
		if err := p.end(); err != nil {
			return err
		}
		fmt.Fprintf(out, "the backend recovered; process %d delivered everything and ended after %v\n",
			i+1, time.Since(begin).Round(time.Millisecond))
	}
	return compare(out, counted, backend.received())
}

// compare prints the table, and returns an error if the two differ.
func compare(out io.Writer, counted, received int64) error {
	fmt.Fprintf(out, "\ncounted     %8d\nreceived    %8d\nlost        %8d\nduplicated  %8d\n",
		counted, received, max(0, counted-received), max(0, received-counted))
	if counted != received {
		return errors.New("what was counted and what the backend received differ")
	}
	return nil
}
