package rival

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// A Target is where rivals deliver to. Those of the SDK get exporters, the
// Collector's queue calls Push.
type Target interface {
	// Exporter returns a new exporter, with the retries that it has itself or
	// without them.
	Exporter(context.Context, ExporterRetries) (sdkmetric.Exporter, error)
	// Push sends once. It may be called concurrently.
	Push(context.Context, pmetric.Metrics) error
	// Temporality is that of the data.
	Temporality() sdkmetric.TemporalitySelector
}

// ExporterRetries says whether an exporter repeats failed requests itself.
type ExporterRetries bool

// What [Target] is asked for.
const (
	WithRetries    ExporterRetries = true // the default of the OTLP exporters
	WithoutRetries ExporterRetries = false
)

// WhenFull says what becomes of a collection for which there is no room.
type WhenFull int

const (
	// AsDocumented is what a rival does if nothing is configured.
	AsDocumented WhenFull = iota
	// Wait holds the reader until there is room.
	Wait
)

// Settings is what rivals have in common.
type Settings struct {
	Target   Target
	WhenFull WhenFull
	// Collections and Points are the bound of the queue, the same one in two
	// units: of so many points is each collection.
	Collections, Points int
	// Workers is how many requests may be under way at a time. Zero means what
	// the rival has by default.
	Workers int
	// BatchSize is how many points a request of asyncmetric may have. Zero means
	// the default.
	BatchSize int
	// TimeScale divides the delays and limits that rivals have for retries.
	TimeScale int
	// RetryForEver removes the limit of the time for retries.
	RetryForEver bool
	// Dir is where durable rivals store. Sync has them wait for the disk.
	Dir  string
	Sync bool
	// OnConvert, if not nil, is told how long each conversion to pdata took.
	OnConvert func(time.Duration)
}

// scaled divides a delay by the time scale.
func (s Settings) scaled(d time.Duration) time.Duration {
	return d / time.Duration(max(1, s.TimeScale))
}

// capacity is the bound in points.
func (s Settings) capacity() int { return s.Collections * s.Points }

// A Rival makes exporters.
type Rival struct {
	Name string
	// Durable rivals need a folder.
	Durable bool
	// Open returns an exporter that has begun to work. Its Shutdown must be
	// called.
	Open func(context.Context, Settings) (sdkmetric.Exporter, error)
}

// Names of the rivals, as in the report.
const (
	NameBare        = "bare exporter"
	NameHandWritten = "hand-written"
	NameHelper      = "exporterhelper"
	NameHelperDisk  = "exporterhelper on disk"
	NameAsync       = "asyncmetric"
	NameSpool       = "asyncmetric on disk"
)

// The rivals.
var (
	Bare        = Rival{Name: NameBare, Open: openBare}
	HandWritten = Rival{Name: NameHandWritten, Open: openHandWritten}
	Helper      = Rival{Name: NameHelper, Open: openHelper}
	HelperDisk  = Rival{Name: NameHelperDisk, Durable: true, Open: openHelperOnDisk}
	Async       = Rival{Name: NameAsync, Open: openAsync}
	Spool       = Rival{Name: NameSpool, Durable: true, Open: openSpool}
)

// All returns the rivals in the order of the report.
func All() []Rival { return []Rival{Async, Helper, HandWritten, Bare, Spool, HelperDisk} }

// With returns the rival under another name and with other settings.
func (r Rival) With(name string, change func(*Settings)) Rival {
	open := r.Open
	r.Name = name
	r.Open = func(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
		change(&s)
		return open(ctx, s)
	}
	return r
}

// openBare is what one has without any of this: the exporter with its retries.
func openBare(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	return s.Target.Exporter(ctx, WithRetries)
}
