package measure

import (
	"context"
	"errors"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
)

// Heap measures how much memory each point takes that waits while the backend
// does not answer.
func (p Plan) Heap(ctx context.Context) (*Table, error) {
	rivals := []rival.Rival{rival.Async, rival.Helper, rival.HandWritten, rival.Spool, rival.HelperDisk}
	t := emptyTable("heap", rival.NameAsync, []Column{
		{Name: "heap a point", Unit: Bytes, Compared: true},
	}, rivals)
	err := p.rotate(rivals, func(r rival.Rival) error {
		return withFolder(func(dir string) error {
			bytes, err := p.heapOf(ctx, r, dir)
			t.add(r.Name, bytes)
			return err
		})
	})
	return t, err
}

func (p Plan) heapOf(ctx context.Context, r rival.Rival, dir string) (float64, error) {
	sink := &rival.Sink{Gate: make(chan struct{})}
	s := rival.Settings{Target: sink, Collections: p.Waiting, Points: p.Points, Dir: dir, Sync: true}
	w, err := p.workload()
	if err != nil {
		return 0, err
	}
	// The SDK has its own part of what a collection refers to from now on.
	defer func() { _ = w.Shutdown(ctx) }()
	if _, err := w.Collect(ctx); err != nil {
		return 0, err
	}
	before := heapInUse()
	e, err := r.Open(ctx, s)
	if err != nil {
		return 0, err
	}
	_, err = timed(ctx, w, p.Waiting, 0, 0, e.Export)
	after := heapInUse()
	close(sink.Gate)
	if err == nil {
		err = sink.Await(ctx, p.Waiting*p.Points)
	}
	return (after - before) / float64(p.Waiting*p.Points), errors.Join(err, e.Shutdown(ctx))
}
