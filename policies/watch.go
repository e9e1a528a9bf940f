package policies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A folder is read when it has been quiet for settle, since an editor or a
// checkout writes many files in a row, but not later than patience after its
// first change.
const (
	settle   = 200 * time.Millisecond
	patience = 5 * time.Second
)

// Run reloads the bundle whenever its folder changes, until ctx ends. A bundle
// that cannot be used is logged, and the last good one stays. It returns nil
// when ctx ended, and an error only where the folder cannot be watched at all.
func (e *Engine) Run(ctx context.Context) error {
	if e.cfg.Bundle == "" {
		<-ctx.Done()
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("policy: watching %s: %w", e.cfg.Bundle, err)
	}
	defer watcher.Close() // nothing to lose
	if err := e.watch(watcher); err != nil {
		return fmt.Errorf("policy: watching %s: %w", e.cfg.Bundle, err)
	}
	// What changed between New and here is not lost.
	e.reloadLogged(ctx)
	return e.follow(ctx, watcher)
}

func (e *Engine) follow(ctx context.Context, watcher *fsnotify.Watcher) error {
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()
	var since time.Time // the first change that was not read yet
	changed := func() {
		if since.IsZero() {
			since = time.Now()
		}
		quiet.Reset(min(settle, max(0, patience-time.Since(since))))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watcher.Events:
			if e.concerns(event) {
				changed()
			}
		case err := <-watcher.Errors: // events may have been lost: look
			e.log.WarnContext(ctx, "watching the policy bundle", "err", err)
			changed()
		case <-quiet.C:
			since = time.Time{}
			if err := e.watch(watcher); err != nil { // folders may be new
				e.log.WarnContext(ctx, "watching the policy bundle", "err", err)
			}
			e.reloadLogged(ctx)
		}
	}
}

// concerns says whether an event is about the bundle, and not about one of its
// neighbours.
func (e *Engine) concerns(event fsnotify.Event) bool {
	bundle, name := filepath.Clean(e.cfg.Bundle), filepath.Clean(event.Name)
	neighbour := filepath.Dir(name) == filepath.Dir(bundle) && name != bundle
	return event.Op != fsnotify.Chmod && !neighbour
}

func (e *Engine) reloadLogged(ctx context.Context) {
	if _, err := e.Reload(ctx); err != nil && ctx.Err() == nil {
		e.log.ErrorContext(ctx, "policy not reloaded: the last good one decides", "revision", e.active.Load().id, "err", err)
	}
}

// watch watches the bundle's folders, and the one that it is in: the bundle
// itself may be replaced.
func (e *Engine) watch(watcher *fsnotify.Watcher) error {
	if err := watcher.Add(filepath.Dir(filepath.Clean(e.cfg.Bundle))); err != nil {
		return err
	}
	root, err := filepath.EvalSymlinks(e.cfg.Bundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its parent tells when it is back
	} else if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			return nil
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case name != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		}
		return watcher.Add(name)
	})
}
