package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// renew writes again a part of a file, as it is, and syncs all of the file. What a
// process before this one wrote may be in the system's memory alone: it ended before it
// could sync, or its sync failed, after which the system takes for written what never
// came to the disk. It is read like the rest until the power fails.
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

// syncNames brings the names of a folder's files to the disk, and those of the folders
// that it is in, as far as they can be read.
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

// syncFolder brings the names in a folder to the disk, where folders can be synced.
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
