//go:build !unix

package spool

import "os"

const noFollow = 0

// checkFolder accepts all: the permissions that Go shows say nothing about who
// can write.
func checkFolder(os.FileInfo) error { return nil }

// syncFolder does nothing: a folder cannot be opened for that.
func syncFolder(string) error { return nil }
