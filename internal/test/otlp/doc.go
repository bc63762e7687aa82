// Package otlp has no code, only tests: of package otlp against the exporter
// otlpmetrichttp, and benchmarks of both. They are here and not beside what they
// test so that the root module does not require the exporter.
package otlp
