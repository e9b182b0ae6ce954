package embedded

import (
	"errors"
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

// abandonFile closes a file that is mapped and locked, when the mapping cannot be undone, which
// would keep the lock.
func abandonFile(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
