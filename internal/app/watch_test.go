package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// watching counts the changes of a file, in a folder where a log is written all
// the time.
func watching(t *testing.T, path string) *atomic.Int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Int64
	ended, started := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- watchFile(ctx, path, slog.New(slog.DiscardHandler), func() {
			if seen.Add(1) == 1 {
				close(started)
			}
		})
	}()
	noise := make(chan struct{})
	go func() {
		defer close(noise)
		tick := time.NewTicker(settle / 10)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			_ = os.WriteFile(filepath.Join(filepath.Dir(path), "weir.log"), fmt.Append(nil, n), 0o600)
			<-tick.C
		}
	}()
	<-started // with what it found
	t.Cleanup(func() {
		cancel()
		<-noise
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &seen
}

func await(t *testing.T, seen *atomic.Int64, want int64) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for seen.Load() < want {
		if time.Now().After(deadline) {
			t.Fatalf("%d changes were seen, not %d", seen.Load(), want)
		}
		time.Sleep(time.Millisecond) // until the deadline
	}
}

func TestWatchFileBesideALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.yaml")
	replaceFile(t, path, "one")
	seen := watching(t, path)
	replaceFile(t, path, "two")
	await(t, seen, 2)
	replaceFile(t, path, "two") // no change: nobody is told
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	await(t, seen, 3)
	replaceFile(t, path, "three")
	await(t, seen, 4)
	if n := seen.Load(); n != 4 {
		t.Errorf("%d changes were seen", n)
	}
}
