package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Ref names where a secret is kept: secret:NAME (sealed by "weir secret set"),
// env:NAME or file:PATH. The secret itself is never in the file.
type Ref string

var refForms = map[string]*regexp.Regexp{
	"secret": regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`),
	"env":    regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`),
	"file":   regexp.MustCompile(`^[^\x00]+$`),
}

// UnmarshalText reads a reference. Its errors never repeat the text: it may be
// a secret that somebody wrote in clear.
func (r *Ref) UnmarshalText(text []byte) error {
	scheme, name, ok := strings.Cut(string(text), ":")
	form := refForms[scheme]
	switch {
	case !ok || form == nil:
		return &problem{"the value stands here in clear or is no reference", refHint}
	case !form.MatchString(name):
		return &problem{fmt.Sprintf("%s: is not followed by a valid name", scheme), refHint}
	}
	*r = Ref(text)
	return nil
}

const refHint = `use secret:NAME (after "weir secret set NAME"), env:NAME or file:PATH`

// file returns the path of a file: reference.
func (r Ref) file() (string, bool) { return strings.CutPrefix(string(r), "file:") }

// Template is text with references in double braces: "Bearer {{secret:billing}}".
type Template string

var placeholder = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// Refs returns the references in the template, in order.
func (t Template) Refs() []Ref {
	var refs []Ref
	for _, m := range placeholder.FindAllStringSubmatch(string(t), -1) {
		refs = append(refs, Ref(strings.TrimSpace(m[1])))
	}
	return refs
}

// UnmarshalText reads a template. Its errors never repeat the text.
func (t *Template) UnmarshalText(text []byte) error {
	for _, r := range Template(text).Refs() {
		var check Ref
		if err := check.UnmarshalText([]byte(r)); err != nil {
			return &problem{"the text between {{ and }} is no reference", refHint}
		}
	}
	rest := placeholder.ReplaceAllString(string(text), "")
	switch {
	case strings.Contains(rest, "{{") || strings.Contains(rest, "}}"):
		return &problem{"{{ and }} do not match", `write for example "Bearer {{secret:NAME}}"`}
	case strings.ContainsAny(rest, "\r\n\x00"):
		return &problem{"a header cannot hold a line break", "write it on one line"}
	}
	*t = Template(text)
	return nil
}
