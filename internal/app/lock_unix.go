//go:build unix

package app

import (
	"os"
	"syscall"
)

// tryLock takes the file for this process; it is free again when the process
// ends, however it does.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// forbidCoreDumps keeps secrets in memory from reaching a file.
func forbidCoreDumps() error {
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
