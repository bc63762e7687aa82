package measure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/peerbench/rival"
	"github.com/asyncmetric/asyncmetric/otlp"
)

// diskRivals are the durable ones, with and without waiting for the disk.
func diskRivals() []rival.Rival {
	with := func(r rival.Rival, name string, sync bool) rival.Rival {
		return r.With(r.Name+", "+name, func(s *rival.Settings) { s.Sync = sync })
	}
	return []rival.Rival{
		with(rival.Spool, SyncSpool, true),
		with(rival.HelperDisk, SyncHelper, true),
		with(rival.Spool, NoSyncSpool, false),
		with(rival.HelperDisk, NoSyncHelper, false),
	}
}

// fileColumn is where the size of the file is.
const fileColumn = 2

// How the durable rivals say whether they wait for the disk.
const (
	SyncSpool    = "synced (default)"
	SyncHelper   = "fsync: true"
	NoSyncSpool  = "WithNoSync"
	NoSyncHelper = "fsync: false (default)"
)

// Disk measures what it costs to store collections while the backend is absent,
// how large the file gets, and how fast the next process delivers them.
func (p Plan) Disk(ctx context.Context) (*Table, error) {
	rivals := diskRivals()
	t := emptyTable("disk", rivals[0].Name, []Column{
		{Name: "Export, median", Unit: Seconds, Compared: true},
		{Name: "Export, p99", Unit: Seconds},
		{Name: "file, a point", Unit: Bytes, Compared: true},
		{Name: "drained", Unit: PerSecond, Compared: true},
	}, rivals)
	err := p.rotate(rivals, func(r rival.Rival) error {
		return withFolder(func(dir string) error {
			values, err := p.diskOf(ctx, r, dir)
			t.add(r.Name, values...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return t, p.addOTLP(ctx, t)
}

// NameOTLP is the row of what is stored, as it is.
const NameOTLP = "(the same as OTLP, not compressed)"

// addOTLP adds how large a collection is as OTLP.
func (p Plan) addOTLP(ctx context.Context, t *Table) error {
	w, err := p.workload()
	if err != nil {
		return err
	}
	defer func() { _ = w.Shutdown(ctx) }()
	rm, err := w.Collect(ctx)
	if err != nil {
		return err
	}
	message, err := otlp.Append(nil, rm)
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	row := Row{Rival: NameOTLP, Cells: make([]Sample, len(t.Columns))}
	row.Cells[fileColumn] = Sample{float64(len(message)) / float64(p.Points)}
	t.Rows = append(t.Rows, row)
	return nil
}

func (p Plan) diskOf(ctx context.Context, r rival.Rival, dir string) ([]float64, error) {
	held, err := p.store(ctx, r, dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	size, err := sizeOf(dir)
	if err != nil {
		return nil, fmt.Errorf("size: %w", err)
	}
	points := float64(p.Waiting * p.Points)
	took, err := p.drain(ctx, r, dir)
	if err != nil {
		return nil, fmt.Errorf("drain: %w", err)
	}
	return []float64{held.Median(), held.Quantile(0.99), float64(size) / points, points / took.Seconds()}, nil
}

// store fills the folder as a process does that ends before the backend is back.
func (p Plan) store(ctx context.Context, r rival.Rival, dir string) (Sample, error) {
	e, err := r.Open(ctx, p.durable(&rival.Sink{Absent: true}, dir))
	if err != nil {
		return nil, err
	}
	w, err := p.workload()
	if err != nil {
		return nil, errors.Join(err, e.Shutdown(ctx))
	}
	defer func() { _ = w.Shutdown(ctx) }()
	held, err := timed(ctx, w, p.Waiting, 0, 0, e.Export)
	return held, errors.Join(err, shutdownNow(ctx, e))
}

// drain is the next process: the backend is there, and takes everything at once.
func (p Plan) drain(ctx context.Context, r rival.Rival, dir string) (time.Duration, error) {
	sink := new(rival.Sink)
	began := time.Now()
	e, err := r.Open(ctx, p.durable(sink, dir))
	if err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = sink.Await(bounded, p.Waiting*p.Points)
	return time.Since(began), errors.Join(err, e.Shutdown(ctx))
}

func (p Plan) durable(sink *rival.Sink, dir string) rival.Settings {
	return rival.Settings{Target: sink, Collections: p.Waiting, Points: p.Points, Dir: dir, RetryForEver: true}
}

// shutdownNow ends an exporter whose backend is absent. That it has not delivered
// everything is no error: what it has not is on disk.
func shutdownNow(ctx context.Context, e sdkmetric.Exporter) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	err := e.Shutdown(ended)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// sizeOf returns the size of the files in a folder.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
