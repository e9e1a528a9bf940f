package policies

import (
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/weir-gateway/weir/internal/gate"
)

// view is the part of the input that one compiled policy reads: it builds what
// the policy is shown, and the key under which its answer is cached. What no
// rule reads is neither built nor part of the key.
type view struct {
	root    []field
	parts   []part
	writers sync.Pool
	names   map[string]*ast.Term
}

// part is a piece of the input that a decision depends on: a field, or what is
// at a path below a field of free shape.
type part struct {
	field field
	below []string
}

// newView makes the view of a policy that reads these paths.
func newView(r *reads) *view {
	all := inputFields()
	v := &view{writers: sync.Pool{New: func() any { return new(keyWriter) }}, names: nameTerms(all)}
	if r.whole {
		v.root = all
		return v
	}
	v.root, v.parts = pick(all, r.paths)
	return v
}

// wholeView shows everything.
func wholeView() *view { return newView(&reads{whole: true}) }

// nameTerms makes the names of the fields, and of what is in them, once.
func nameTerms(fields []field) map[string]*ast.Term {
	names := map[string]*ast.Term{}
	var add func([]field)
	add = func(fields []field) {
		for _, f := range fields {
			names[f.name] = ast.StringTerm(f.name)
			add(f.fields)
		}
	}
	add(fields)
	for _, name := range []string{"access", "action", "approve", "approver", "at", "classes", "paths", "reason", "schema", "table", "use"} {
		names[name] = ast.StringTerm(name)
	}
	return names
}

// pick keeps the fields that the paths touch. The paths are relative to the
// fields; none is empty.
func pick(fields []field, paths [][]string) (kept []field, parts []part) {
	for _, f := range fields {
		var below [][]string
		for _, p := range paths {
			if p[0] == f.name {
				below = append(below, p[1:])
			}
		}
		switch {
		case len(below) == 0:
		case slices.ContainsFunc(below, func(p []string) bool { return len(p) == 0 || f.fields != nil && p[0] == each }):
			kept = append(kept, f)
			parts = append(parts, leaves(f)...)
		case f.fields != nil:
			sub, subParts := pick(f.fields, below)
			f.fields = sub // of this copy
			kept = append(kept, f)
			parts = append(parts, subParts...)
		default:
			kept = append(kept, f)
			for _, p := range below {
				parts = append(parts, part{field: f, below: p})
			}
		}
	}
	return kept, parts
}

// leaves are the parts that make up a whole field.
func leaves(f field) []part {
	if f.fields == nil {
		return []part{{field: f}}
	}
	var out []part
	for _, sub := range f.fields {
		out = append(out, leaves(sub)...)
	}
	return out
}

// key identifies all inputs that this policy cannot tell apart.
func (v *view) key(in *gate.Input) ([sha256.Size]byte, bool) {
	w := v.writers.Get().(*keyWriter)
	defer v.writers.Put(w)
	w.buf, w.err = w.buf[:0], nil
	for i := range v.parts {
		v.parts[i].write(in, w)
	}
	return w.sum(), w.err == nil
}

func (p *part) write(in *gate.Input, w *keyWriter) {
	if len(p.below) == 0 || p.field.parsed == nil {
		write := p.field.write
		if len(p.below) > 1 && p.below[0] == each && p.field.members[p.below[1]] != nil {
			write = p.field.members[p.below[1]]
		}
		if !write(in, w) {
			w.absent()
		}
		return
	}
	value, there := p.field.parsed(in)
	depth := 0 // "v" at a is not "v" at a.b
	for _, name := range p.below {
		below, found, isObject := member(value, name)
		if !isObject || name == each {
			break // a list, or any of them, or nothing: all of what is here counts
		}
		value, there = below, found
		if !found {
			break
		}
		depth++
	}
	w.integer(int64(depth))
	if !there {
		w.absent()
		return
	}
	w.value(value)
}

// member looks a name up in any of the objects that a field may hold.
func member(object any, name string) (value any, found, isObject bool) {
	switch object := object.(type) {
	case map[string]any:
		value, found = object[name]
		return value, found, true
	case map[string]string:
		value, found = object[name]
		return value, found, true
	case map[string][]string:
		value, found = object[name]
		return value, found, true
	}
	return nil, false, false
}

// term builds what the policy is shown.
func (v *view) term(in *gate.Input) (*ast.Term, error) {
	w := &termWriter{names: v.names}
	t := object(v.root, in, w)
	return t, w.err
}

func object(fields []field, in *gate.Input, w *termWriter) *ast.Term {
	pairs := make([][2]*ast.Term, 0, len(fields))
	for i := range fields {
		if t := fields[i].term(in, w); t != nil {
			pairs = append(pairs, [2]*ast.Term{w.nameTerm(fields[i].name), t})
		}
	}
	return ast.ObjectTerm(pairs...)
}

// term builds a field's value; nil is absent.
func (f *field) term(in *gate.Input, w *termWriter) *ast.Term {
	if f.fields == nil {
		if !f.write(in, w) {
			return nil
		}
		return w.done
	}
	if f.presence != nil {
		switch f.presence(in) {
		case absent:
			return nil
		case isNull:
			return ast.InternedNullTerm
		}
	}
	return object(f.fields, in, w)
}
