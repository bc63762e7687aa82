package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// prepareFolder makes the folder, with those above it, unless it is there. It
// returns an error if the folder is not one to keep data in.
func prepareFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil { // the umask may have taken away more
			return err
		}
		return syncFolder(filepath.Dir(dir))
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New("it is not a folder")
	}
	return checkFolder(info)
}

// secure gives a file the permissions that it must have, whatever the umask or
// whoever made it says.
func secure(f *os.File) error {
	if err := f.Chmod(0o600); err != nil {
		return fmt.Errorf("setting its permissions: %w", err)
	}
	return nil
}
