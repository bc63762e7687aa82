// Package report writes what was measured: a page in Markdown with tables, and
// plots.
package report
