package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/asyncmetric/asyncmetric/jetstream"
)

const applications = 4

// streamOptions are the same for all.
var streamOptions = []jetstream.Option{
	jetstream.WithReplicas(servers), jetstream.WithMaxBytes(64 << 20), jetstream.WithTakeover(2 * time.Second),
}

// perform plays the script and compares.
func perform(ctx context.Context, act time.Duration, out io.Writer) (err error) {
	c, err := startCluster(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	backend := newBackend()
	relays := make([]*relay, 2)
	for i := range relays {
		if relays[i], err = startRelay(ctx, c.url(), backend); err != nil {
			return err
		}
		defer relays[i].stop()
	}
	apps := make([]*application, applications)
	for i := range apps {
		if apps[i], err = startApplication(i, c.url()); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, apps[i].stop()) }()
	}
	fmt.Fprintf(out, "%d servers, %d applications, %d relays and a backend\n", servers, applications, len(relays))

	if err := pause(ctx, act); err != nil {
		return err
	}
	name, err := c.killLeader(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, which led the stream, was killed\n", name)
	if err := pause(ctx, act); err != nil {
		return err
	}
	relays[0].kill()
	fmt.Fprintln(out, "relay 1 was killed")
	if err := pause(ctx, act); err != nil {
		return err
	}

	var counted int64
	for _, a := range apps {
		n, err := a.finish(ctx)
		if err != nil {
			return err
		}
		counted += n
	}
	fmt.Fprintln(out, "the applications have handed over everything")
	if err := relays[1].drain(ctx); err != nil {
		return err
	}
	return compare(out, counted, backend)
}

// compare prints the table, and returns an error if the totals differ.
func compare(out io.Writer, counted int64, b *backend) error {
	received, collections, again, late := b.totals()
	fmt.Fprintf(out, "\ncounted            %10d\nreceived           %10d\nlost               %10d\n"+
		"collections        %10d\n  that came twice  %10d\n  out of order     %10d\n",
		counted, received, counted-received, collections, again, late)
	switch {
	case counted != received:
		return errors.New("what was counted and what the backend received differ")
	case late > 0:
		return errors.New("the order was not kept")
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
