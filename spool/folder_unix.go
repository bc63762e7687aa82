//go:build unix

package spool

import (
	"fmt"
	"os"
	"syscall"
)

// noFollow makes opening a file fail if its name is that of a symbolic link,
// which someone else may have made.
const noFollow = syscall.O_NOFOLLOW

// checkFolder refuses a folder in which others could replace the file.
func checkFolder(info os.FileInfo) error {
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("it belongs to user %d, who can write to it: the process runs as user %d", owner, os.Geteuid())
	}
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
