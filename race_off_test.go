//go:build !race

package asyncmetric_test

const simulated = 100_000
