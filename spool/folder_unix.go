//go:build unix

package spool

import (
	"fmt"
	"os"
)

// checkFolder refuses a folder in which others could replace the file.
func checkFolder(info os.FileInfo) error {
	if mode := info.Mode(); mode.Perm()&0o022 != 0 {
		return fmt.Errorf("others can write to it (%v): remove that permission, for instance with chmod go-w", mode)
	}
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}
