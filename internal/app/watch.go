package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A changed file is read when its folder has been quiet for settle, since editors
// write in several steps, but not later than impatience after the first change:
// what else lies there, such as a log, may never be quiet.
const (
	settle     = 200 * time.Millisecond
	impatience = time.Second
)

// watchFile calls changed after the file's content has changed, or SIGHUP came,
// until ctx ends. The folder is watched, since editors replace files, and a
// mounted secret is a link to a folder that is replaced.
func watchFile(ctx context.Context, path string, log *slog.Logger, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("%s cannot be watched: %w", path, err)
	}
	defer w.Close()
	if err := w.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%s cannot be watched: %w", path, err)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	quiet := time.NewTimer(0) // what changed before the watch began is not lost
	defer quiet.Stop()
	var seen [sha256.Size]byte
	var since time.Time // the first event that was not looked at yet
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if e.Op == fsnotify.Chmod {
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			quiet.Reset(min(settle, max(0, impatience-time.Since(since))))
		case err := <-w.Errors:
			log.WarnContext(ctx, "watching", "file", path, "err", err)
		case <-hangup:
			changed()
		case <-quiet.C:
			since = time.Time{}
			if now := contentHash(path); now != seen {
				seen = now
				changed()
			}
		}
	}
}

// contentHash tells contents apart. A file that cannot be read is another content.
func contentHash(path string) [sha256.Size]byte {
	text, err := os.ReadFile(path)
	if err != nil {
		text = []byte(err.Error())
	}
	return sha256.Sum256(text)
}
