// Package integration has no code, only tests: of asyncmetric in front of the
// real exporters, which send to real servers on loopback.
//
// # Errors
//
// The core decides from an error alone whether to send a batch again, and it
// recognises the errors of the OTLP exporters without importing them, partly by
// the names of types that are not exported. So what it recognises is pinned
// here to the errors that those exporters really return: each test has a server
// misbehave in one way, on purpose, and looks at the verdict on the error and
// at what becomes of the batch. When a new version of an exporter changes its
// errors, a test here says so. What is seen to happen goes into a table in the
// README, which TestErrorTable writes with -update and compares without.
//
// # Prometheus
//
// Its database and its OTLP handler run here, behind an HTTP server that has
// outages (files outage_test.go, front_test.go, store_test.go). An application
// (shop_test.go) counts with the instruments of the real SDK and, apart from
// that, for itself (pipeline_test.go). In the end, each sample that PromQL finds
// has to be what was counted when it was collected (history_test.go).
//
// # Dashboard
//
// The Grafana dashboard in dashboards/ is checked here too, against the metrics
// that an exporter has and the names that Prometheus gives them.
//
// # Soak
//
// TestSoak (files soak_*_test.go) lets everything happen at once, with queues in
// memory and on disk: outages, flushes that are cut short, restarts of receivers
// and of pipelines. It takes some seconds, or as long as it is told:
//
//	GOWORK=off go -C internal/test test ./integration -run TestSoak -v -soak 10m -timeout 0
//
// It logs a seed. With -soakseed, the same outages, flushes and restarts are
// chosen again, though not at the same instants.
//
// # Module
//
// It is in the module internal/test, outside of go.work, so that nobody has to
// download gRPC or Prometheus to use or test the core:
//
//	GOWORK=off go -C internal/test test -race ./...
//
// The go.mod there selects the newest OpenTelemetry. Another file, oldest.mod, selects
// the oldest that the go.mod of the core allows, with a Prometheus and a Collector
// that do not need a newer one:
//
//	GOWORK=off go -C internal/test test -modfile=oldest.mod ./integration
//
// What only the newest has is tested in the folder newest.
package integration
