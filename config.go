package asyncmetric

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"go.opentelemetry.io/otel"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric/queue"
)

// An Option configures an [Exporter]. Values are checked in [New].
type Option interface{ apply(*config) }

// A Setting is an option and its value, as text.
type Setting struct{ Name, Value string }

// config is what the options say.
type config struct {
	name               string // empty for one that New makes
	maxQueueBytes      int64
	maxQueueSize       int // 0 for no bound in data points
	overflow           queue.Overflow
	maxExportBatchSize int
	merging            bool
	linger             time.Duration
	exportTimeout      time.Duration
	drainTimeout       time.Duration
	retry              Retry
	retryDisabled      bool
	maxAge             time.Duration
	minInterval        time.Duration
	replicas           []metric.Exporter
	deadLetter         metric.Exporter // nil for none
	queue              queue.Queue
	errorHandler       otel.ErrorHandler
	onDrop             func(queue.Drop)
	meterProvider      apimetric.MeterProvider

	// What was given, where the value does not tell.
	nameGiven          bool
	maxQueueSizeGiven  bool
	drainTimeoutGiven  bool
	retryGiven         bool
	queueGiven         bool
	deadLetterGiven    bool
	meterProviderGiven bool
	memoryOption       string // the option that concerns only the queue in memory, if one was used
}

func defaultConfig() config {
	return config{
		maxQueueBytes:      queue.DefaultMaxBytes,
		overflow:           queue.Coalesce,
		maxExportBatchSize: 8192,
		exportTimeout:      30 * time.Second,
		drainTimeout:       30 * time.Second,
		errorHandler:       otel.ErrorHandlerFunc(otel.Handle),
		onDrop:             func(queue.Drop) {},
	}
}

// newConfig applies opts to the defaults and checks the result.
func newConfig(inner metric.Exporter, opts []Option) (config, error) {
	c := defaultConfig()
	for i, o := range opts {
		if isNil(o) {
			return c, invalid("option %d of New is nil", i+1)
		}
		o.apply(&c)
	}
	c.retry = c.retry.withDefaults()
	return c, errors.Join(c.validate(), c.validateReplicas(inner), c.validateDeadLetter(inner))
}

// isNil reports whether v is nil, or a nil pointer, map or function in an
// interface.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan:
		return r.IsNil()
	default:
		return false
	}
}

// invalid returns an error that wraps ErrInvalidOption.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalidOption, fmt.Sprintf(format, args...))
}

// validate returns all that is wrong but for the replicas.
func (c *config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, invalid(format, args...))
		}
	}
	check(!c.nameGiven || c.name != "", `WithName(""): leave it out for a name that is made`)
	check(c.maxQueueBytes >= 1, "WithMaxQueueBytes(%d): must be at least 1", c.maxQueueBytes)
	check(!c.maxQueueSizeGiven || c.maxQueueSize >= 1,
		"WithMaxQueueSize(%d): must be at least 1; leave it out for no bound in data points", c.maxQueueSize)
	check(c.overflow.Valid(), "WithOverflow(%v): must be one of the policies of package queue", c.overflow)
	check(c.maxExportBatchSize >= 0, "WithMaxExportBatchSize(%d): must be at least 1, or 0 for no limit", c.maxExportBatchSize)
	check(c.linger >= 0, "WithMerging(%v): must be at least 0", c.linger)
	check(!c.merging || c.maxExportBatchSize != 0,
		"WithMerging cannot be combined with WithMaxExportBatchSize(0): merging needs to know when a batch is full")
	check(c.maxAge == 0 || c.linger < c.maxAge,
		"WithMerging(%v) lets everything become older than WithMaxAge(%v): must be less", c.linger, c.maxAge)
	check(c.exportTimeout > 0, "WithExportTimeout(%v): must be above 0", c.exportTimeout)
	check(c.drainTimeout > 0, "WithDrainTimeout(%v): must be above 0", c.drainTimeout)
	check(c.maxAge >= 0, "WithMaxAge(%v): must be above 0, or 0 for no limit", c.maxAge)
	check(c.minInterval >= 0, "WithMinInterval(%v): must be above 0, or 0 for none", c.minInterval)
	check(!c.retryGiven || !c.retryDisabled, "WithRetry cannot be combined with WithoutRetry: leave one of them out")
	check(!c.queueGiven || !isNil(c.queue), "WithQueue(nil): leave it out for a queue in memory")
	check(!c.queueGiven || c.memoryOption == "",
		"%s concerns the queue in memory and has no effect on the one of WithQueue: set the bound there", c.memoryOption)
	check(!isNil(c.errorHandler), "WithErrorHandler(nil): leave it out for otel.Handle")
	check(c.onDrop != nil, "WithOnDrop(nil): leave it out for none")
	check(!c.meterProviderGiven || !isNil(c.meterProvider), "WithMeterProvider(nil): leave it out for no metrics")
	return errors.Join(append(errs, c.retry.validate())...)
}

// validateExporter returns what keeps an exporter from being an inner one.
func validateExporter(e metric.Exporter) error {
	if isNil(e) {
		return errors.New("the exporter is nil")
	}
	if wrapper, ok := e.(interface{ isAsync() }); ok {
		return fmt.Errorf("a %T cannot be the inner exporter of another one: give it the exporter that it wraps", wrapper)
	}
	return nil
}

// validateReplicas returns what keeps the replicas from standing in for inner.
func (c *config) validateReplicas(inner metric.Exporter) error {
	var errs []error
	earlier := []metric.Exporter{inner}
	for i, replica := range c.replicas {
		if err := validateExporter(replica); err != nil {
			errs = append(errs, invalid("WithReplicas: replica %d: %v", i+1, err))
			continue
		}
		for _, other := range earlier {
			if sameExporter(replica, other) {
				errs = append(errs, invalid("WithReplicas: replica %d (%T) is given twice: "+
					"each must be an exporter of its own, since one exporter must not be called concurrently", i+1, replica))
				break
			}
		}
		earlier = append(earlier, replica)
		if err := sameSelectors(inner, replica); err != nil {
			errs = append(errs, invalid("WithReplicas: replica %d (%T) %v", i+1, replica, err))
		}
	}
	return errors.Join(errs...)
}

// validateDeadLetter returns what keeps an exporter from being the dead letter.
func (c *config) validateDeadLetter(inner metric.Exporter) error {
	if !c.deadLetterGiven {
		return nil
	}
	if err := validateExporter(c.deadLetter); err != nil {
		return invalid("WithDeadLetter: %v", err)
	}
	for _, other := range append([]metric.Exporter{inner}, c.replicas...) {
		if !isNil(other) && sameExporter(c.deadLetter, other) {
			return invalid("WithDeadLetter(%T): must be another exporter than those that deliver", c.deadLetter)
		}
	}
	return nil
}

// sameExporter reports whether a and b are one exporter, as far as that can be
// told: pointers to what has no size may be equal for different exporters.
func sameExporter(a, b metric.Exporter) bool {
	v := reflect.ValueOf(a)
	if v.Kind() == reflect.Pointer && v.Type().Elem().Size() == 0 || !v.Comparable() {
		return false
	}
	return a == b
}

// sameSelectors returns an error that names what a and b choose differently.
// The SDK asks only one of them, and the data it then makes is for both.
func sameSelectors(a, b metric.Exporter) error {
	for _, kind := range []metric.InstrumentKind{
		metric.InstrumentKindCounter,
		metric.InstrumentKindUpDownCounter,
		metric.InstrumentKindHistogram,
		metric.InstrumentKindObservableCounter,
		metric.InstrumentKindObservableUpDownCounter,
		metric.InstrumentKindObservableGauge,
		metric.InstrumentKindGauge,
	} {
		if x, y := a.Temporality(kind), b.Temporality(kind); x != y {
			return fmt.Errorf("has %v for %v, and the first exporter has %v: they must agree", y, kind, x)
		}
		if x, y := aggregation(a, kind), aggregation(b, kind); !reflect.DeepEqual(x, y) {
			return fmt.Errorf("has aggregation %T%+v for %v, and the first exporter has %T%+v: they must agree", y, y, kind, x, x)
		}
	}
	return nil
}

// aggregation returns what the SDK makes of what e chooses.
func aggregation(e metric.Exporter, kind metric.InstrumentKind) metric.Aggregation {
	a := e.Aggregation(kind)
	if _, isDefault := a.(metric.AggregationDefault); isDefault || a == nil {
		return metric.DefaultAggregationSelector(kind)
	}
	return a
}

// settings returns the options as text.
func (c *config) settings(inner metric.Exporter) []Setting {
	list := []Setting{{"exporter", fmt.Sprintf("%T", inner)}}
	add := func(name string, value any) { list = append(list, Setting{name, fmt.Sprint(value)}) }
	optional := func(name string, value any, used bool) {
		if !used {
			value = "off"
		}
		add(name, value)
	}
	if c.queueGiven {
		add("WithQueue", c.queueType())
	} else {
		add("WithMaxQueueBytes", c.maxQueueBytes)
		optional("WithMaxQueueSize", c.maxQueueSize, c.maxQueueSizeGiven)
		add("WithOverflow", c.overflow)
	}
	add("WithMaxExportBatchSize", c.maxExportBatchSize)
	optional("WithMerging", c.linger, c.merging)
	add("WithExportTimeout", c.exportTimeout)
	add("WithDrainTimeout", c.drainTimeout)
	optional("WithRetry", c.retry.describe(), !c.retryDisabled)
	optional("WithMaxAge", c.maxAge, c.maxAge > 0)
	optional("WithMinInterval", c.minInterval, c.minInterval > 0)
	optional("WithReplicas", len(c.replicas), len(c.replicas) > 0)
	optional("WithDeadLetter", fmt.Sprintf("%T", c.deadLetter), c.deadLetterGiven)
	optional("WithMeterProvider", "on", c.meterProviderGiven)
	return list
}

// queueType returns the type of the queue as text.
func (c *config) queueType() string {
	if c.queue == nil {
		return fmt.Sprintf("%T", (*queue.Memory)(nil))
	}
	return fmt.Sprintf("%T", c.queue)
}
