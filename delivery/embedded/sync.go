package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// renew rewrites a part of a file as it is, and syncs the whole file. Data from an earlier
// process may be in the system's memory alone: that process ended before it could sync, or
// its sync failed, after which the system takes data for written that never reached the
// disk. Until the power fails, it can be read like the rest.
func renew(f *os.File, at, length int64) error {
	b := make([]byte, length)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Sync()
}

// syncNames syncs the names of a folder's files, and those of its parent folders, as far as
// they can be read.
func syncNames(folder string) error {
	path, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	if err := syncFolder(path); err != nil {
		return err
	}
	for above := filepath.Dir(path); above != path; path, above = above, filepath.Dir(above) {
		_ = syncFolder(above)
	}
	return nil
}

// syncFolder syncs the names in a folder, on systems where folders can be synced.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
