//go:build !linux

package embedded

import "os"

// syncData waits until the data of a file is on the disk.
func syncData(f *os.File) error { return f.Sync() }
