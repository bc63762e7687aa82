// Package measure compares the rivals. Each measurement is repeated, with the
// rivals taking turns in another order each time, so that what disturbs the
// machine for a while disturbs all of them, and its result is a [Table].
package measure
