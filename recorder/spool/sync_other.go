//go:build !linux

package spool

import "os"

// syncData has a file's bytes on disk.
func syncData(f *os.File) error { return f.Sync() }
