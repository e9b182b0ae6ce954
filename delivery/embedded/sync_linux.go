package embedded

import (
	"os"
	"syscall"
)

// syncData waits until the data of a file is on the disk, with all that is needed to read
// it again, which its modification time is not.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}
