package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cenkalti/backoff/v5"
)

// pythons are the versions of Python for which requirements hold the digests of
// wheels. Nothing is compiled.
var pythons = []string{"3.11", "3.12", "3.13", "3.14"}

// Python sets up the packages of a pip requirements file that pins versions and
// digests, for the python3 on PATH, and returns the folder for PYTHONPATH. Where
// there is no python3, or one for which nothing is pinned, the error is ErrMissing.
func (i *Installer) Python(ctx context.Context, name, requirements string) (string, error) {
	version, err := pythonVersion(ctx)
	if err != nil {
		return "", err
	}
	if requirements, err = filepath.Abs(requirements); err != nil {
		return "", err
	}
	return i.packages(ctx, name, []string{requirements}, "python "+version, func(dir string) ([]string, error) {
		pip, err := i.pip(ctx)
		if err != nil {
			return nil, err
		}
		return append(pip, "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:",
			"--python-version", version, "--target", dir, "--requirement", requirements), nil
	})
}

func pythonVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "python3", "-c", `import sys; print("%d.%d" % sys.version_info[:2])`).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("python3 is %w", ErrMissing)
	}
	if err != nil {
		return "", fmt.Errorf("python3: %w", err)
	}
	version := strings.TrimSpace(string(out))
	if !slices.Contains(pythons, version) {
		return "", fmt.Errorf("packages for Python %s are %w: none are pinned", version, ErrMissing)
	}
	return version, nil
}

// Node sets up the packages of a folder's package.json and package-lock.json, and
// returns the folder that holds node_modules. Without node it is ErrMissing.
func (i *Installer) Node(ctx context.Context, name, from string) (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%s is %w", program, ErrMissing)
		}
	}
	files := []string{filepath.Join(from, "package.json"), filepath.Join(from, "package-lock.json")}
	return i.packages(ctx, name, files, "node", func(dir string) ([]string, error) {
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), raw, 0o644); err != nil {
				return nil, err
			}
		}
		return []string{"npm", "ci", "--no-progress", "--ignore-scripts", "--no-audit", "--no-fund"}, nil
	})
}

// Jar sets up the one jar that a file pins in the form "group:name:version digest",
// with Maven. Without javac, java and mvn it is ErrMissing.
func (i *Installer) Jar(ctx context.Context, name, lock string) (string, error) {
	for _, program := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%s is %w", program, ErrMissing)
		}
	}
	raw, err := os.ReadFile(lock)
	if err != nil {
		return "", err
	}
	artifact, digest, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	words := strings.Split(artifact, ":")
	if len(words) != 3 {
		return "", fmt.Errorf("%s: %q is not group:name:version", lock, artifact)
	}
	dir, err := i.packages(ctx, name, []string{lock}, "java", func(dir string) ([]string, error) {
		return []string{"mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
			"-Dartifact=" + artifact + ":jar", "-DoutputDirectory=" + dir}, nil
	})
	if err != nil {
		return "", err
	}
	jar := filepath.Join(dir, words[1]+"-"+words[2]+".jar")
	return jar, verify(jar, digest)
}

// packages runs a package client in a folder of its own, whose name changes with what is
// pinned and with for whom.
func (i *Installer) packages(ctx context.Context, name string, pins []string, whom string, command func(dir string) ([]string, error)) (string, error) {
	sum := sha256.New()
	for _, file := range pins {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		_, _ = sum.Write(raw)
	}
	_, _ = sum.Write([]byte(whom + " " + i.platform))
	dir := filepath.Join(i.Root, "parts", name+"-"+hex.EncodeToString(sum.Sum(nil))[:12])
	present := func() bool { _, err := os.Stat(dir); return err == nil }
	if present() {
		return dir, nil
	}
	if i.Offline {
		return "", fmt.Errorf("the packages of %s are %w: run the test without -short", name, ErrMissing)
	}
	unlock, err := i.exclusive(ctx, &part{Name: name})
	if err != nil {
		return "", err
	}
	defer unlock()
	if present() {
		return dir, nil // by the process that held the lock
	}
	defer i.step("fetching the packages of %s for %s", name, whom)()
	return dir, i.install(ctx, name, dir, command)
}

// install fetches beside the final folder and renames: it is there whole or not at
// all.
func (i *Installer) install(ctx context.Context, name, dir string, command func(dir string) ([]string, error)) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		var none struct{}
		tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-"+name+"-")
		if err != nil {
			return none, backoff.Permanent(err)
		}
		defer func() { _ = os.RemoveAll(tmp) }()
		if err := os.Chmod(tmp, 0o755); err != nil { // others may run the tests
			return none, backoff.Permanent(err)
		}
		args, err := command(tmp)
		if err != nil {
			return none, backoff.Permanent(err)
		}
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		if err := runIn(ctx, tmp, args); err != nil {
			return none, err
		}
		return none, os.Rename(tmp, dir)
	}, backoff.WithMaxTries(fetchTries))
	if err != nil {
		return fmt.Errorf("fetching the packages of %s: %w", name, err)
	}
	return nil
}
