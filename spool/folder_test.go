//go:build unix

package spool

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func init() { children["hold"], children["denied"] = childHold, childDenied }

func TestFilesAreForTheirOwnerOnlyWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for _, mask := range []int{0, 0o022, 0o777} {
		syscall.Umask(0)
		parent := t.TempDir()
		dir := filepath.Join(parent, "a", "b")
		if mask == 0o777 { // nothing could be made below a folder made under it
			dir = filepath.Join(parent, "b")
		}
		syscall.Umask(mask)
		q, err := Open(dir)
		require.NoError(t, err, "umask %o", mask)
		require.NoError(t, q.Close())
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "folder under umask %o", mask)
		info, err = os.Stat(q.path())
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "file under umask %o", mask)
	}
}

func TestAFolderThatOthersCanWriteToIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o720, 0o702, 0o777, 0o1777} {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, mode))
		_, err := Open(dir)
		require.ErrorContains(t, err, dir)
		require.ErrorContains(t, err, "others can write to it")
		assert.NoFileExists(t, filepath.Join(dir, fileName))
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	q, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, q.Close())
}

func TestAFileWhereTheFolderShouldBeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(path)
	require.ErrorContains(t, err, path)
	_, err = Open(filepath.Join(path, "below"))
	require.ErrorContains(t, err, path)
}

func TestASecondOpenInThisProcessFailsSoonAndNamesTheFolder(t *testing.T) {
	dir := t.TempDir()
	q, _ := open(t, dir)
	putValues(t, q, 1, 1)
	requireLocked(t, dir)
	require.Equal(t, []int64{1}, drain(t, q))
	require.NoError(t, q.Close())
	q, _ = open(t, dir)
	require.NoError(t, q.Close())
}

func requireLocked(t *testing.T, dir string) {
	t.Helper()
	begin := time.Now()
	_, err := Open(dir)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "another process")
	require.Less(t, time.Since(begin), 2*time.Second)
}

func TestAFolderOfAnotherProcessIsRefusedUntilThatHasEnded(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "hold", dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "open\n", line)
	requireLocked(t, dir)

	require.NoError(t, in.Close()) // the child ends without closing the queue
	require.NoError(t, cmd.Wait())
	q, _ := open(t, dir)
	require.Equal(t, []int64{1}, drain(t, q))
}

func childHold(dir string) error {
	q, err := Open(dir)
	if err != nil {
		return err
	}
	if err := putInChild(q, 1, 1); err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.ReadAll(os.Stdin)
	return err
}

// Root may write anywhere, so the child becomes someone else.
func TestMissingPermissionIsAClearError(t *testing.T) {
	parent := t.TempDir()
	for p := parent; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		require.NoError(t, os.Chmod(p, 0o755))
	}
	dirs := map[string]os.FileMode{"readOnly": 0o555, "noAccess": 0o000, "foreignFile": 0o755}
	for name, mode := range dirs {
		dir := filepath.Join(parent, name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		if name == "foreignFile" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), nil, 0o400))
		}
		require.NoError(t, os.Chmod(dir, mode))
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	}
	out, err := child(t, "denied", parent).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func childDenied(parent string) error {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	for _, name := range []string{"readOnly", "noAccess", "foreignFile", "readOnly/new"} {
		dir := filepath.Join(parent, name)
		_, err := Open(dir)
		if !os.IsPermission(unwrapAll(err)) {
			return fmt.Errorf("Open of %s returned %v", dir, err)
		}
	}
	return nil
}

// unwrapAll returns the innermost error of a chain.
func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}
