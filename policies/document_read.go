package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/weir-gateway/weir/internal/gate"
)

// object reads an object that has no other keys than these.
func (d *decoder) object(v ast.Value, what string, keys ...string) (ast.Object, error) {
	o, ok := v.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", what)
	}
	for _, k := range o.Keys() {
		if name, ok := k.Value.(ast.String); !ok || !slices.Contains(keys, string(name)) {
			return nil, fmt.Errorf("%s has no field %s, only %s", what, k, strings.Join(keys, ", "))
		}
	}
	return o, nil
}

// get is a field's value; nil where there is none.
func get(o ast.Object, name string) ast.Value {
	t := o.Get(ast.InternedTerm(name))
	if t == nil {
		return nil
	}
	return t.Value
}

// reader reads the fields of one object and keeps the first error.
type reader struct {
	object ast.Object
	err    error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// text reads a string; a required one must not be empty.
func (r *reader) text(name string, required bool) string {
	v := get(r.object, name)
	s, ok := v.(ast.String)
	switch {
	case v != nil && !ok:
		r.fail("%s is not a string", name)
	case required && s == "":
		r.fail("%s is missing", name)
	}
	return string(s)
}

// oneOf reads a string that is one of these; "" where there is none.
func (r *reader) oneOf(name string, words ...string) string {
	s := r.text(name, false)
	if get(r.object, name) != nil && !slices.Contains(words, s) {
		r.fail("%s is not one of %s", name, strings.Join(words, ", "))
	}
	return s
}

// texts reads a list or set of at least one string.
func (r *reader) texts(name string) []string {
	var terms []*ast.Term
	switch v := get(r.object, name).(type) {
	case *ast.Array:
		for i := range v.Len() {
			terms = append(terms, v.Elem(i))
		}
	case ast.Set:
		terms = v.Slice()
	}
	out := make([]string, 0, len(terms))
	for _, t := range terms {
		s, ok := t.Value.(ast.String)
		if !ok || s == "" {
			r.fail("%s holds what is not a string", name)
			return nil
		}
		out = append(out, string(s))
	}
	if len(out) == 0 {
		r.fail("%s names nobody", name)
	}
	return out
}

// number reads a whole number between two bounds.
func (r *reader) number(name string, missing, low, high int64) int64 {
	v := get(r.object, name)
	if v == nil {
		return missing
	}
	n, ok := v.(ast.Number)
	if !ok {
		r.fail("%s is not a number", name)
		return missing
	}
	i, ok := n.Int64()
	if !ok || i < low || i > high {
		r.fail("%s is not a whole number from %d to %d", name, low, high)
		return missing
	}
	return i
}

// duration reads a positive duration like "15m"; 0 where there is none.
func (r *reader) duration(name string) time.Duration {
	s := r.text(name, false)
	if s == "" {
		if get(r.object, name) != nil {
			r.fail("%s is empty", name)
		}
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		r.fail("%s is not a positive duration like \"15m\"", name)
		return 0
	}
	return d
}

// checkSubject says whether a mask says exactly one way what it hides.
func checkSubject(m *gate.Mask) error {
	named := 0
	for _, s := range []string{m.Class, m.Column, m.Path} {
		if s != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return errors.New("a mask names one of class, column and path")
	case m.Column != "" && strings.Count(m.Column, ".") != 2:
		return errors.New("column is not schema.table.column")
	case m.Path != "" && !strings.HasPrefix(m.Path, "$"):
		return errors.New("path does not begin with $")
	}
	return nil
}
