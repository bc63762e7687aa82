// Package newest tests what only the newest OpenTelemetry has. It is left out
// where the oldest is selected:
//
//	GOWORK=off go -C internal/test test ./newest
package newest
