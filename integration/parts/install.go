package parts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// stampFile in an unpacked part holds the part's stamp.
const stampFile = ".stamp"

// Installer sets up parts below one folder. The zero value is not usable:
// New gives one for the repository.
type Installer struct {
	Root     string    // the .weir folder
	Cache    string    // where archives are kept
	Progress io.Writer // what is being done, a line at a time; nil is silent
	Offline  bool      // packages are not fetched, only found

	lock     *lock
	platform string // GOOS/GOARCH
	fetchOne fetchFunc
}

// New gives the installer of the repository that the working directory is in.
// WEIR_PARTS_CACHE moves the cache, for instance to share it between clones.
func New(progress io.Writer) (*Installer, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	l, err := parseLock(lockJSON)
	if err != nil {
		return nil, err
	}
	cache := os.Getenv("WEIR_PARTS_CACHE")
	if cache == "" {
		cache = filepath.Join(root, "cache")
	}
	i := &Installer{Root: root, Cache: cache, Progress: progress, lock: l, platform: runtime.GOOS + "/" + runtime.GOARCH}
	i.fetchOne = i.fetch
	return i, nil
}

// ensure sets up one part unless it is there. Processes that want the same
// part at the same time wait for the first.
func (i *Installer) ensure(ctx context.Context, p *part) error {
	if i.present(p) {
		return nil
	}
	if p.Needs != "" {
		needed, err := i.lock.part(p.Needs)
		if err != nil {
			return err
		}
		if err := i.ensure(ctx, needed); err != nil {
			return err
		}
	}
	unlock, err := i.exclusive(ctx, p)
	if err != nil {
		return err
	}
	defer unlock()
	if i.present(p) {
		return nil // by the process that held the lock
	}
	a := p.Archives[i.platform]
	if !a.Tried {
		i.say("%s: the package for %s is pinned but has not been tried there", p.Name, i.platform)
	}
	file, err := i.archive(ctx, p, a)
	if err != nil {
		return err
	}
	done := i.step("unpacking %s %s", p.Name, p.Version)
	defer done()
	return i.place(ctx, p, file)
}

// exclusive holds the lock file of one part.
func (i *Installer) exclusive(ctx context.Context, p *part) (unlock func(), err error) {
	dir := filepath.Join(i.Root, "locks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	type result struct {
		unlock func()
		err    error
	}
	locked := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(filepath.Join(dir, p.Name)).Lock()
		locked <- result{unlock, err}
	}()
	hint := time.NewTimer(2 * time.Second)
	defer hint.Stop()
	for {
		select {
		case r := <-locked:
			return r.unlock, r.err
		case <-hint.C:
			i.say("%s: another process is setting it up; waiting", p.Name)
		case <-ctx.Done():
			go func() { // the lock must not stay held once it is got
				if r := <-locked; r.err == nil {
					r.unlock()
				}
			}()
			return nil, ctx.Err()
		}
	}
}

func (i *Installer) present(p *part) bool {
	got, err := os.ReadFile(filepath.Join(i.dir(p), stampFile))
	return err == nil && string(got) == p.stamp(i.platform)
}

func (i *Installer) dir(p *part) string { return filepath.Join(i.Root, "parts", p.dir()) }

// archive gives the part's verified archive, from the cache if it is there.
func (i *Installer) archive(ctx context.Context, p *part, a archive) (string, error) {
	cached := filepath.Join(i.Cache, a.File)
	switch err := verify(cached, a.Digest); {
	case err == nil:
		return cached, nil
	case errors.Is(err, errDigest):
		i.say("%s: %s in the cache is broken or another; fetching it anew", p.Name, a.File)
	case !errors.Is(err, os.ErrNotExist):
		return "", err
	}
	if err := os.MkdirAll(i.Cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(i.Cache, ".fetch-"+p.Name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	done := i.step("fetching %s %s (%d MB) with %s", p.Name, p.Version, a.Bytes/1e6, p.Client)
	err = i.fetchOne(ctx, p, a, tmp)
	done()
	if err != nil {
		return "", fmt.Errorf("fetching %s %s: %w", p.Name, p.Version, err)
	}
	fetched := filepath.Join(tmp, a.File)
	if err := verify(fetched, a.Digest); err != nil {
		return "", fmt.Errorf("fetching %s %s: refused: %w", p.Name, p.Version, err)
	}
	return cached, os.Rename(fetched, cached)
}

// place unpacks beside the final folder and renames: a part is there whole or
// not at all.
func (i *Installer) place(ctx context.Context, p *part, file string) error {
	parent := filepath.Join(i.Root, "parts")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".new-"+p.Name+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.Chmod(tmp, 0o755); err != nil { // PostgreSQL may run as another user
		return err
	}
	if err := unpack(ctx, p, file, tmp); err != nil {
		return err
	}
	if err := i.finish(p, tmp); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	if err := os.WriteFile(filepath.Join(tmp, stampFile), []byte(p.stamp(i.platform)), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(i.dir(p)); err != nil {
		return err
	}
	if err := os.Rename(tmp, i.dir(p)); err != nil {
		return err
	}
	return i.link(p)
}

// finish adds what an archive could not hold: links, and files of another part.
func (i *Installer) finish(p *part, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if p.Links != "" {
		if err := hydrate(root, p.Links); err != nil {
			return err
		}
	}
	if len(p.Overlay) == 0 {
		return nil
	}
	base, err := i.lock.part(p.Needs)
	if err != nil {
		return err
	}
	for from, to := range p.Overlay {
		raw, err := os.ReadFile(filepath.Join(i.dir(base), filepath.FromSlash(from)))
		if err != nil {
			return err
		}
		if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(to, raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hydrate makes the symbolic links that the npm package lists in a file,
// because npm archives hold none.
func hydrate(root *os.Root, list string) error {
	raw, err := root.ReadFile(list)
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(raw, &links); err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	for _, l := range links {
		source, target := strings.TrimPrefix(l.Source, "native/"), strings.TrimPrefix(l.Target, "native/")
		if filepath.Dir(source) != filepath.Dir(target) {
			return fmt.Errorf("%s: %s and %s are not in one folder", list, l.Source, l.Target)
		}
		if err := root.Symlink(filepath.Base(source), target); err != nil {
			return err
		}
	}
	return nil
}

// link puts relative links to the part's programs into .weir/bin. The programs
// find their libraries relative to themselves, so they need no environment.
func (i *Installer) link(p *part) error {
	bin := filepath.Join(i.Root, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for _, program := range p.Programs {
		name := filepath.Join(bin, filepath.Base(program))
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(filepath.Join("..", "parts", p.dir(), filepath.FromSlash(program)), name); err != nil {
			return err
		}
	}
	return nil
}
