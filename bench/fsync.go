package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// timeFsync notes what an fsync takes here.
func (r *rig) timeFsync(context.Context) error {
	ms, err := fsyncTime(r.options.dir)
	if err == nil {
		r.note("Appending 1 KiB to a file and an fsync take %.3f ms on this disk (median of 200).", ms)
	}
	return err
}

// fsyncTime is the median time of writing a small block and waiting until it is
// on this disk, in milliseconds: what durable evidence must cost.
func fsyncTime(dir string) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	block := make([]byte, 1024)
	var times []float64
	for range 200 {
		start := time.Now()
		_, err := f.Write(block)
		if err := errors.Join(err, f.Sync()); err != nil {
			return 0, errors.Join(err, f.Close())
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e6)
	}
	return median(times), f.Close()
}
