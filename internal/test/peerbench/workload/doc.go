// Package workload makes the data that all rivals get: what the metric SDK of
// OpenTelemetry collects from real instruments.
package workload
