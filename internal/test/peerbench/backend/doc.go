// Package backend has what the rivals deliver to: an HTTP server for OTLP that
// counts and that has outages, and Prometheus.
package backend
