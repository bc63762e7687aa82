// Package metrictest has what the tests and benchmarks of this module share:
// collections of every shape, and an inner exporter under their control.
package metrictest
