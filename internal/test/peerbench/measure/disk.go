package measure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/internal/test/peerbench/rival"
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

// conversionOf is the rival whose conversion to pdata has a row of its own.
const conversionOf = rival.NameHelperDisk + ", " + NoSyncHelper

// Disk measures what it costs to store collections while the backend is absent,
// how large the file gets, and how fast they are delivered when it is opened again.
func (p Plan) Disk(ctx context.Context) (*Table, error) {
	rivals := diskRivals()
	t := emptyTable("disk", rivals[0].Name, []Column{
		{Name: "Export, median", Unit: Seconds, Compared: true},
		{Name: "Export, longest", Unit: Seconds},
		{Name: "file, a point", Unit: Bytes},
		{Name: "drained", Unit: PerSecond, Compared: true},
	}, rivals)
	t.addBelow(conversionOf, NameConversion)
	err := p.rotate(rivals, func(r rival.Rival) error {
		return withFolder(func(dir string) error {
			values, conversion, err := p.diskOf(ctx, r, dir)
			t.add(r.Name, values...)
			if r.Name == conversionOf {
				t.add(NameConversion, conversion.Median(), conversion.Max())
			}
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
	row := t.emptyRow(NameOTLP)
	row.Cells[fileColumn] = Sample{float64(len(message)) / float64(p.Points)}
	t.Rows = append(t.Rows, row)
	return nil
}

// diskOf returns a value for each column, and how long each conversion to pdata
// took.
func (p Plan) diskOf(ctx context.Context, r rival.Rival, dir string) (values []float64, conversion Sample, err error) {
	held, conversion, err := p.store(ctx, r, dir)
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	size, err := sizeOf(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("size: %w", err)
	}
	points := float64(p.Waiting * p.Points)
	took, err := p.drain(ctx, r, dir)
	if err != nil {
		return nil, nil, fmt.Errorf("drain: %w", err)
	}
	values = []float64{held.Median(), held.Max(), float64(size) / points, points / took.Seconds()}
	return values, conversion, nil
}

// store fills the folder as a process does that ends before the backend is back.
func (p Plan) store(ctx context.Context, r rival.Rival, dir string) (held, conversion Sample, err error) {
	s := p.durable(&rival.Sink{Absent: true}, dir)
	s.OnConvert = func(d time.Duration) { conversion = append(conversion, d.Seconds()) }
	e, err := r.Open(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	w, err := p.workload()
	if err != nil {
		return nil, nil, errors.Join(err, e.Shutdown(ctx))
	}
	defer func() { _ = w.Shutdown(ctx) }()
	held, err = timed(ctx, w, p.Waiting, 0, 0, e.Export)
	return held, conversion, errors.Join(err, shutdownNow(ctx, e))
}

// drain stands for the next process: the backend is there, and takes everything
// at once. The page cache is warm.
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
