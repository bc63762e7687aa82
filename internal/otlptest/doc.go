// Package otlptest has what the tests of package otlp share with those of
// internal/test/otlp, which compare it with the real exporter: collections, and
// what a collection means in OTLP.
package otlptest
