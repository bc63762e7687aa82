// Package rival has asyncmetric and what one would use instead of it, each as a
// metric.Exporter to be given to a reader, and with equal bounds.
package rival
