// Command report measures the rivals and writes docs/benchmarks.md.
//
//	go run ./cmd/report              # everything, about nine minutes, on a machine with nothing else to do
//	go run ./cmd/report -force       # also on one that is busy
//	go run ./cmd/report -quick       # whether everything works; writes nothing
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/measure"
	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/report"
)

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "measure next to nothing, to see that everything works; writes only with -out")
	flag.BoolVar(&o.force, "force", false, "measure on a busy machine, too")
	flag.StringVar(&o.out, "out", "", "`folder` to write to (default: docs of the repository)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	quick, force bool
	out          string
}

// plan returns what is measured, or an error if the machine is too busy for it.
func (o options) plan(m report.Machine) (measure.Plan, error) {
	if o.quick {
		return measure.Quick(), nil
	}
	if m.Busy() && !o.force {
		return measure.Plan{}, fmt.Errorf(
			"the machine is busy: its load average of the last minute is %s, more than half of its %d cores; try again later, or use -force",
			m.Load, m.Cores)
	}
	return measure.Full(), nil
}

// folder returns where the report is written, nothing if nowhere.
func (o options) folder() (string, error) {
	if o.out != "" || o.quick {
		return o.out, nil
	}
	return findDocs()
}

func run(ctx context.Context, o options, progress io.Writer) error {
	machine := report.ThisMachine()
	plan, err := o.plan(machine)
	if err != nil {
		return err
	}
	out, err := o.folder()
	if err != nil {
		return err
	}
	// The SDK reports what readers could not export, which is what is measured.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	r := &report.Report{Machine: machine, Plan: plan}
	for _, m := range plan.Measurements() {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		t, err := m.Run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		r.Tables = append(r.Tables, t)
		_, _ = fmt.Fprintf(progress, "%-26s %6.1f s\n", m.Name, time.Since(began).Seconds())
	}
	if out == "" {
		_, err := r.Markdown()
		return err
	}
	return r.Write(out)
}

// findDocs returns the folder docs of the repository that has this module, from
// wherever in it the command is run.
func findDocs() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("docs: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "internal", "test", "go.mod")); err == nil {
			return filepath.Join(dir, "docs"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("docs: this is not inside of the repository; say where to write with -out")
		}
		dir = parent
	}
}
