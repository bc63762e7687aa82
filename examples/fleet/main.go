// Command fleet shows applications that hand their metrics over to a
// replicated stream, and relays that deliver them, through the loss of a server
// and of a relay.
//
// All of it is in this program: a cluster of three NATS servers, four
// applications with real instruments, two relays, and a backend. First a server
// is killed, the one that leads the stream, then a relay that is delivering. At
// last the table compares what the applications counted with what the backend
// received.
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
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	act := flags.Duration("act", 2*time.Second, "how long each of the three acts is")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *act < 100*time.Millisecond || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "fleet: -act must be at least 100ms, and there are no other arguments")
		return 2
	}
	if err := perform(ctx, *act, stdout); err != nil {
		fmt.Fprintln(stderr, "fleet:", err)
		return 1
	}
	return 0
}
