package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a changed file must stay as it is before it is read:
// editors write in several steps.
const settle = 200 * time.Millisecond

// watchFile calls changed after the file was written, replaced or SIGHUP came,
// until ctx ends. The folder is watched, since editors replace files.
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
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			// A mounted secret is a link to a folder that is replaced: any change
			// beside the file may be one of it. Reload compares the content.
			if e.Op != fsnotify.Chmod {
				quiet.Reset(settle)
			}
		case err := <-w.Errors:
			log.WarnContext(ctx, "watching", "file", path, "err", err)
		case <-hangup:
			changed()
		case <-quiet.C:
			changed()
		}
	}
}
