// Package googlecloud tests the options that docs/options.md gives for the exporter
// to Google Cloud Monitoring, with the real exporter and a server that is as strict.
package googlecloud
