package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file, in bytes.
const maxFile = 4 << 20

// Load reads and checks a file. Relative paths in it are relative to its
// folder. Its mistakes come back as one *Error that names the file.
func Load(path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	f, err := os.Open(abs)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("there is no configuration file %s; name another with -c", path)
		}
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	c, err := Parse(text, filepath.Dir(abs))
	var mistakes *Error
	if errors.As(err, &mistakes) {
		mistakes.File = path
	}
	return c, err
}

// dataLine is the key data at the top level, on a line of its own.
var dataLine = regexp.MustCompile(`(?m)^data:[ \t]+["']?([^"'#\n]*[^"'#\s])`)

// DataFolder is the data folder that a file names, be the rest of it as wrong as
// it may: a gateway may run with what the file was before.
func DataFolder(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	var c Config
	setDefaults(reflect.ValueOf(&c).Elem(), "")
	folder := string(c.Data)
	if text, err := os.ReadFile(abs); err == nil && len(text) <= maxFile {
		if m := dataLine.FindSubmatch(text); m != nil {
			folder = string(m[1])
		}
	}
	return join(filepath.Dir(abs), folder)
}

// Parse reads and checks the text of a file. Relative paths in it become
// absolute from baseDir. Its mistakes come back as one *Error.
func Parse(text []byte, baseDir string) (*Config, error) {
	r := newReport()
	if len(text) > maxFile {
		r.at(place{}, "", "the file is larger than 4 MiB", "is it the right file?")
		return nil, r.err()
	}
	root := document(text, r)
	if root == nil {
		return nil, r.err()
	}
	c := &Config{}
	d := &decoder{report: r}
	d.places[""] = place{1, 1}
	d.value("", root, reflect.ValueOf(c).Elem())
	complete(c)
	check(c, r)
	if err := r.err(); err != nil {
		return nil, err
	}
	absolute(reflect.ValueOf(c).Elem(), baseDir)
	c.Envoy.Binary = program(c.Envoy.Binary, baseDir)
	sum := sha256.Sum256(text)
	c.Revision = hex.EncodeToString(sum[:])
	return c, nil
}

// program makes the path of a program absolute; a bare name is found on PATH.
func program(name, dir string) string {
	if strings.ContainsRune(name, filepath.Separator) {
		return join(dir, name)
	}
	return name
}

// document parses the text into the one mapping that it must hold.
func document(text []byte, r *report) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF) || err == nil && (len(doc.Content) == 0 || isNull(doc.Content[0])):
		r.at(place{1, 1}, "", "the file is empty", "it needs at least identity and targets")
		return nil
	case err != nil:
		syntax(err, r)
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		r.at(place{max(second.Line, 1), max(second.Column, 1)}, "", "the file holds more than one document", "remove everything after the second ---")
		return nil
	}
	return doc.Content[0]
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax reports text that is not YAML.
func syntax(err error, r *report) {
	what, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		what = m[2]
		line, _ = strconv.Atoi(m[1]) // 0 where yaml names no line
	}
	hint := "check the indentation, the colons and the quotes around this line"
	if strings.Contains(what, "cannot start any token") {
		hint = "YAML indents with spaces, never with tabs; quote values that begin with @, ` or %"
	}
	p := place{line, 1}
	if line == 0 {
		p = place{1, 1}
	}
	r.at(p, "", "not YAML: "+what, hint)
}
