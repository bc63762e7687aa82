// Package integration has no code, only tests: of asyncmetric in front of the
// real OTLP exporters, which send to real servers on loopback.
//
// The core decides from an error alone whether to send a batch again, and it
// recognises the errors of the OTLP exporters without importing them, partly by
// the names of types that are not exported. So what it recognises is pinned
// here to the errors that those exporters really return: each test has a server
// misbehave in one way, on purpose, and looks at the verdict on the error and
// at what becomes of the batch. When a new version of an exporter changes its
// errors, a test here says so.
//
// The Grafana dashboard in dashboards/ is checked here too, against the metrics
// that an exporter has and the names that Prometheus gives them.
//
// It is a module of its own, outside of go.work, so that nobody has to download
// gRPC or Prometheus to use or test the core:
//
//	GOWORK=off go -C internal/integration test -race ./...
package integration
