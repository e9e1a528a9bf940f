package policies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// The bounds of a bundle.
const (
	maxFiles     = 10_000
	maxFileBytes = 16 << 20
	maxBundle    = 128 << 20 // bytes, all files together
)

// file is one file of a bundle. Path is relative to it, with slashes.
type file struct {
	path string
	text []byte
}

func (f file) isRego() bool { return path.Ext(f.path) == ".rego" }
func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.rego") }

// isData says whether the file holds data, as in OPA's bundles: its folder is
// where in data.* it goes.
func (f file) isData() bool {
	switch path.Base(f.path) {
	case "data.json", "data.yaml", "data.yml":
		return true
	}
	return false
}

// source is a bundle as it was read, in order of path.
type source struct {
	files   []file
	ignored []string // looks like it was meant to be read
}

// readBundle reads the .rego and data files of a folder and of those below it.
// Names that begin with a dot are passed over. An empty name is an empty bundle.
func readBundle(dir string) (*source, error) {
	src := &source{}
	if dir == "" {
		return src, nil
	}
	root, err := filepath.EvalSymlinks(dir) // a mounted folder often is a link
	if err != nil {
		return nil, fmt.Errorf("policy bundle: %w", err)
	}
	if info, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("policy bundle: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("policy bundle: %s is not a folder", dir)
	}
	if err := src.walk(root); err != nil {
		return nil, fmt.Errorf("policy bundle: %w", err)
	}
	return src, nil
}

func (src *source) walk(root string) error {
	total := 0
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != root && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f := file{path: filepath.ToSlash(rel)}
		// What a link to a folder hides might deny: never pass over it.
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a link to a folder: put the files themselves here", f.path)
		}
		if isLibrary(f.path) {
			return fmt.Errorf("%s: a name that begins with %q is the library's", f.path, libraryPrefix)
		}
		if !f.isRego() && !f.isData() {
			src.ignore(f.path)
			return nil
		}
		if f.text, err = readFile(name); err != nil {
			return err
		}
		if total += len(f.text); total > maxBundle || len(src.files) == maxFiles {
			return fmt.Errorf("more than %d files or %d MiB", maxFiles, maxBundle>>20)
		}
		src.files = append(src.files, f)
		return nil
	})
}

// ignore notes a file that OPA's bundles do not read though its name suggests so.
func (src *source) ignore(name string) {
	switch path.Ext(name) {
	case ".json", ".yaml", ".yml":
		src.ignored = append(src.ignored, name)
	}
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) // #nosec G304 -- within the operator's folder
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = errors.New("larger than 16 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// digests maps each file to the hash of its text.
func (src *source) digests() map[string]string {
	out := make(map[string]string, len(src.files))
	for _, f := range src.files {
		sum := sha256.Sum256(f.text)
		out[f.path] = hex.EncodeToString(sum[:])
	}
	return out
}
