package rival

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// httpTimeout is how long otlphttpexporter gives a request by default.
const httpTimeout = 30 * time.Second

// HTTP is a target that speaks OTLP/HTTP: the real otlpmetrichttp for the SDK,
// and for the Collector's queue what its otlphttpexporter v0.163 does: it
// marshals, posts, and tells errors that are worth another attempt from others.
// (That exporter itself is not used: a module that it needs could not be had when
// this was written.) Neither compresses.
type HTTP struct {
	endpoint    string
	temporality sdkmetric.TemporalitySelector
	timeScale   int
	client      *http.Client
}

// NewHTTP returns the target at an endpoint, host and port. The time scale
// divides the delays of the exporters' own retries. It must be closed.
func NewHTTP(endpoint string, temporality sdkmetric.TemporalitySelector, timeScale int) *HTTP {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.WriteBufferSize = 512 * 1024 // as otlphttpexporter has it
	return &HTTP{
		endpoint: endpoint, temporality: temporality, timeScale: timeScale,
		client: &http.Client{Timeout: httpTimeout, Transport: transport},
	}
}

// Close closes connections that are not in use.
func (t *HTTP) Close() { t.client.CloseIdleConnections() }

// Temporality implements [Target].
func (t *HTTP) Temporality() sdkmetric.TemporalitySelector { return t.temporality }

// Exporter implements [Target].
func (t *HTTP) Exporter(ctx context.Context, retries ExporterRetries) (sdkmetric.Exporter, error) {
	scale := Settings{TimeScale: t.timeScale}
	return otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpoint(t.endpoint),
		otlpmetrichttp.WithInsecure(),
		otlpmetrichttp.WithTemporalitySelector(t.temporality),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{
			Enabled:         bool(retries),
			InitialInterval: scale.scaled(5 * time.Second), // these are the defaults
			MaxInterval:     scale.scaled(30 * time.Second),
			MaxElapsedTime:  scale.scaled(time.Minute),
		}))
}

// Push implements [Target].
func (t *HTTP) Push(ctx context.Context, md pmetric.Metrics) error {
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		return consumererror.NewPermanent(err)
	}
	url := "http://" + t.endpoint + "/v1/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return consumererror.NewPermanent(err)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := t.client.Do(request)
	if err != nil {
		return fmt.Errorf("failed to make an HTTP request: %w", err)
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, response.Body, 64*1024)
		_ = response.Body.Close()
	}()
	return judge(response.StatusCode)
}

// judge returns the error that a status stands for.
func judge(status int) error {
	if status >= 200 && status <= 299 {
		return nil
	}
	err := fmt.Errorf("the backend answered %d", status)
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err
	default:
		return consumererror.NewPermanent(err)
	}
}
