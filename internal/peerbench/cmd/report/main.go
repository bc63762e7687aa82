// Command report measures the rivals and writes docs/benchmarks.md.
//
//	go run ./cmd/report              # everything, about eight minutes
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

	"github.com/asyncmetric/asyncmetric/internal/peerbench/measure"
	"github.com/asyncmetric/asyncmetric/internal/peerbench/report"
)

func main() {
	quick := flag.Bool("quick", false, "measure next to nothing, to see that everything works; writes only with -out")
	out := flag.String("out", "", "`folder` to write to (default: docs of the repository)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *quick, *out, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, quick bool, out string, progress io.Writer) error {
	plan := measure.Full()
	if quick {
		plan = measure.Quick()
	} else if out == "" {
		docs, err := findDocs()
		if err != nil {
			return err
		}
		out = docs
	}
	// The SDK reports what readers could not export, which is what is measured.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	r := &report.Report{Machine: report.ThisMachine(), Plan: plan}
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
		if _, err := os.Stat(filepath.Join(dir, "internal", "peerbench", "go.mod")); err == nil {
			return filepath.Join(dir, "docs"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("docs: this is not inside of the repository; say where to write with -out")
		}
		dir = parent
	}
}
