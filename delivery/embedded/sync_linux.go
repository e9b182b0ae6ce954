package embedded

import (
	"os"
	"syscall"
)

// syncData waits until what was written is on the disk, and no more than is needed
// to read it again: when a file was changed is not.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
