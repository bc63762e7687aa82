//go:build race

package asyncmetric_test

// simulated is how many collections the long outage lasts at full length; the
// race detector makes each ten times as slow.
const simulated = 10_000
