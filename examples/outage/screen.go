package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// screen shows the progress: a line for each phase and pipeline when the phase
// is over and, on a terminal, a bar below them while it lasts.
type screen struct {
	out       io.Writer
	terminal  bool
	began     time.Time
	length    time.Duration
	pipelines []*pipeline
}

const legend = `delivered, lost, queued: data points
longest hold: how long one export kept the reader from collecting

`

// newScreen returns a screen for a run of the given length and writes what
// stands above the lines.
func newScreen(out io.Writer, length time.Duration, pipelines ...*pipeline) *screen {
	s := &screen{out: out, terminal: isTerminal(out), began: time.Now(), length: length, pipelines: pipelines}
	fmt.Fprint(out, legend)
	s.row("phase", "pipeline", "collections", "delivered", "lost", "queued", "longest hold")
	return s
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// during shows the phase of that name while work runs.
func (s *screen) during(name string, work func()) {
	before := s.snapshots()
	stop := s.animate(name)
	work()
	stop()
	for i, after := range s.snapshots() {
		s.row(name, s.pipelines[i].name,
			grouped(len(after.held)-len(before[i].held)),
			grouped(after.delivered-before[i].delivered),
			grouped(after.lost-before[i].lost),
			grouped(after.queued),
			short(longest(after.held[before[i].ended:])),
		)
	}
}

func (s *screen) snapshots() []snapshot {
	var all []snapshot
	for _, p := range s.pipelines {
		all = append(all, p.snapshot())
	}
	return all
}

// row writes one line of the table of phases.
func (s *screen) row(phase, pipeline, collections, delivered, lost, queued, longest string) {
	fmt.Fprintf(s.out, "%-12s %-8s %12s %11s %9s %9s %13s\n",
		phase, pipeline, collections, delivered, lost, queued, longest)
}

// animate draws the bar until the returned function is called, which leaves a
// clean line. It does nothing where the output is not a terminal.
func (s *screen) animate(name string) (stop func()) {
	if !s.terminal {
		return func() {}
	}
	done := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			fmt.Fprint(s.out, clearLine, s.bar(name))
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		drawing.Wait()
		fmt.Fprint(s.out, clearLine)
	}
}

// clearLine moves to the start of the line and erases it.
const clearLine = "\r\x1b[K"

// bar says how far the script is and how the pipelines are doing, in less than
// the 80 columns of a narrow terminal.
func (s *screen) bar(name string) string {
	const width = 10
	done := min(width, int(width*time.Since(s.began)/s.length))
	line := fmt.Sprintf("[%s%s] %s", strings.Repeat("#", done), strings.Repeat(".", width-done), name)
	for _, p := range s.pipelines {
		now := p.snapshot()
		line += fmt.Sprintf(" | %s lost %s", p.name, grouped(now.lost))
		if now.queued > 0 {
			line += " queued " + grouped(now.queued)
		}
	}
	return line
}
