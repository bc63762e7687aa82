package rival

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// componentType is what the Collector's parts are told that they belong to.
var componentType = component.MustNewType("peerbench")

// helper is the sending queue of the Collector behind the interface of the SDK.
// What it has to convert for that, a Collector does not.
type helper struct {
	temporality sdkmetric.TemporalitySelector
	convert     func(*metricdata.ResourceMetrics) (pmetric.Metrics, error)
	metrics     exporter.Metrics
	onConvert   func(time.Duration)
	storage     component.Component // nil if the queue is in memory
}

func openHelper(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	return newHelper(ctx, s, nil, new(Converter).Convert)
}

// newHelper returns an exporterhelper with its defaults, but for what the
// settings say, and without the timeout for each attempt, as otlphttpexporter
// has it: its HTTP client has one.
func newHelper(
	ctx context.Context, s Settings, storage component.Component,
	convert func(*metricdata.ResourceMetrics) (pmetric.Metrics, error),
) (sdkmetric.Exporter, error) {
	set := exporter.Settings{ID: component.NewID(componentType), TelemetrySettings: noTelemetry()}
	metrics, err := exporterhelper.NewMetrics(ctx, set, struct{}{}, s.Target.Push,
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
		exporterhelper.WithRetry(helperRetry(s)),
		exporterhelper.WithQueue(configoptional.Some(helperQueue(s, storage != nil))))
	if err != nil {
		return nil, fmt.Errorf("exporterhelper: %w", err)
	}
	h := host{}
	if storage != nil {
		h[storageID] = storage
	}
	if err := metrics.Start(ctx, h); err != nil {
		return nil, fmt.Errorf("exporterhelper: %w", err)
	}
	onConvert := s.OnConvert
	if onConvert == nil {
		onConvert = func(time.Duration) {}
	}
	return &helper{
		temporality: s.Target.Temporality(), convert: convert, onConvert: onConvert, metrics: metrics, storage: storage,
	}, nil
}

func helperRetry(s Settings) configretry.BackOffConfig {
	c := configretry.NewDefaultBackOffConfig()
	c.InitialInterval = s.scaled(c.InitialInterval)
	c.MaxInterval = s.scaled(c.MaxInterval)
	c.MaxElapsedTime = s.scaled(c.MaxElapsedTime)
	if s.RetryForEver {
		c.MaxElapsedTime = 0
	}
	return c
}

// helperQueue counts requests, as is the default: one for each collection. What
// is being sent counts too, so there is room for one more than elsewhere.
func helperQueue(s Settings, durable bool) exporterhelper.QueueBatchConfig {
	c := exporterhelper.NewDefaultQueueConfig()
	c.QueueSize = int64(s.Collections + 1)
	c.BlockOnOverflow = s.WhenFull == Wait
	if s.Workers > 0 {
		c.NumConsumers = s.Workers
	}
	if durable {
		id := storageID
		c.StorageID = &id
	}
	return c
}

// Temporality implements [sdkmetric.Exporter].
func (h *helper) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return h.temporality(k)
}

// Aggregation implements [sdkmetric.Exporter].
func (h *helper) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// Export implements [sdkmetric.Exporter].
func (h *helper) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	began := time.Now()
	md, err := h.convert(rm)
	if err != nil {
		return err
	}
	h.onConvert(time.Since(began))
	return h.metrics.ConsumeMetrics(ctx, md)
}

// ForceFlush implements [sdkmetric.Exporter]. The Collector's queue has no such
// thing.
func (h *helper) ForceFlush(context.Context) error { return nil }

// Shutdown implements [sdkmetric.Exporter].
func (h *helper) Shutdown(ctx context.Context) error {
	err := h.metrics.Shutdown(ctx)
	if h.storage != nil {
		err = errors.Join(err, h.storage.Shutdown(ctx))
	}
	return err
}

// host is the Collector that the parts believe to be in.
type host map[component.ID]component.Component

// GetExtensions implements [component.Host].
func (h host) GetExtensions() map[component.ID]component.Component { return h }

func noTelemetry() component.TelemetrySettings {
	return component.TelemetrySettings{
		Logger:         zap.NewNop(),
		TracerProvider: nooptrace.NewTracerProvider(),
		MeterProvider:  noopmetric.NewMeterProvider(),
		Resource:       pcommon.NewResource(),
	}
}
