package spool

import (
	"os"
	"syscall"
)

// syncData has a file's bytes on disk, without the time of its last change.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
