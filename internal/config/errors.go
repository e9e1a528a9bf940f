package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Issue is one mistake in the file.
type Issue struct {
	Line   int    `json:"line"`   // from 1; 0 where the mistake has no place
	Column int    `json:"column"` // from 1
	Path   string `json:"path"`   // "targets.orders.upstream.tls"
	What   string `json:"what"`   // what is wrong
	Hint   string `json:"hint"`   // the way out
}

// String is the issue on one line, without the file's name.
func (i Issue) String() string {
	var b strings.Builder
	if i.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", i.Line, i.Column)
	}
	if i.Path != "" {
		b.WriteString(i.Path + ": ")
	}
	b.WriteString(i.What)
	if i.Hint != "" {
		b.WriteString("; " + i.Hint)
	}
	return b.String()
}

// Error is every mistake of a file, in the order of its lines.
type Error struct {
	File   string // as it was given to Load; empty from Parse
	Issues []Issue
}

// Error is one line for each mistake, "file:line:column: path: what; hint".
func (e *Error) Error() string {
	file := e.File
	if file == "" {
		file = "configuration"
	}
	lines := make([]string, len(e.Issues))
	for i, issue := range e.Issues {
		sep := ": "
		if issue.Line > 0 {
			sep = ":"
		}
		lines[i] = file + sep + issue.String()
	}
	return strings.Join(lines, "\n")
}

// place is where something stands in the file.
type place struct{ line, column int }

// report collects issues and knows where each path stands.
type report struct {
	issues []Issue
	seen   map[Issue]bool
	places map[string]place
	// failed are the paths whose value could not be read (or whose key was
	// misspelt): what depends on them is not judged again.
	failed map[string]bool
}

func newReport() *report {
	return &report{seen: map[Issue]bool{}, places: map[string]place{}, failed: map[string]bool{}}
}

// at adds an issue with a place of its own.
func (r *report) at(p place, path, what, hint string) {
	issue := Issue{Line: p.line, Column: p.column, Path: path, What: what, Hint: hint}
	if !r.seen[issue] {
		r.seen[issue] = true
		r.issues = append(r.issues, issue)
	}
}

// unreadable adds an issue about a value that could not be read.
func (r *report) unreadable(p place, path, what, hint string) {
	r.at(p, path, what, hint)
	r.failed[path] = true
}

// add judges a path: the issue's place is that of the path, or of the nearest
// section around it. Where the path or a section around it could not be read,
// nothing is added.
func (r *report) add(path, what, hint string) {
	if r.skip(path) {
		return
	}
	p := path
	for {
		if at, ok := r.places[p]; ok || p == "" {
			r.at(at, path, what, hint)
			return
		}
		p = parent(p)
	}
}

func (r *report) skip(path string) bool {
	for p := path; p != ""; p = parent(p) {
		if r.failed[p] {
			return true
		}
	}
	return r.failed[""]
}

// given says whether the file itself says something at path.
func (r *report) given(path string) bool {
	_, ok := r.places[path]
	return ok || r.failed[path]
}

// err returns all issues in order, or nil.
func (r *report) err() error {
	if len(r.issues) == 0 {
		return nil
	}
	slices.SortFunc(r.issues, func(a, b Issue) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Path, b.Path), strings.Compare(a.What, b.What))
	})
	return &Error{Issues: r.issues}
}

// child is the path of a key within a section.
func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// parent is the path of the section around path.
func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}
