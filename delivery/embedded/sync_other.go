//go:build !linux

package embedded

import "os"

// syncData waits until the data of a file is on the disk.
func syncData(f *os.File) error { return f.Sync() }

// abandonFile closes a file. If it is mapped, it may stay locked until this process ends.
func abandonFile(f *os.File) error { return f.Close() }
