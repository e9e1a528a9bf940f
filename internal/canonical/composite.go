package canonical

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

func listPlan(elem plan) plan {
	return func(w *writer, v reflect.Value) {
		if v.IsNil() {
			w.buf = append(w.buf, "null"...)
			return
		}
		w.buf = append(w.buf, '[')
		for i := range v.Len() {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			elem(w, v.Index(i))
		}
		w.buf = append(w.buf, ']')
	}
}

func mapPlan(elem plan) plan {
	return func(w *writer, v reflect.Value) {
		if v.IsNil() {
			w.buf = append(w.buf, "null"...)
			return
		}
		names := v.MapKeys()
		for _, n := range names {
			if !isASCII(n.String()) { // they are ordered by UTF-16, and may fall together
				other(w, v)
				return
			}
		}
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		w.buf = append(w.buf, '{')
		for i, n := range names {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = append(AppendString(w.buf, n.String()), ':')
			elem(w, v.MapIndex(n))
		}
		w.buf = append(w.buf, '}')
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// member is one member of an object that a struct is written as.
type member struct {
	name      string
	prefix    string // `,"name":`
	path      []int  // of fields: more than one where a struct is embedded
	omitEmpty bool
	write     plan
}

// structPlan puts the members of a struct in order.
func (e *Encoder) structPlan(t reflect.Type, outer []reflect.Type) plan {
	members, ok := e.members(t, nil, outer)
	if !ok {
		return other
	}
	slices.SortStableFunc(members, func(a, b member) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.path), len(b.path)))
	})
	for i := 1; i < len(members); i++ {
		if m := members[i-1]; m.name == members[i].name && len(m.path) == len(members[i].path) {
			return other
		}
	}
	// As encoding/json has it, a member hides those of the same name further in.
	members = slices.CompactFunc(members, func(a, b member) bool { return a.name == b.name })
	return func(w *writer, v reflect.Value) {
		start := len(w.buf)
		for i := range members {
			m := &members[i]
			field, there := m.of(v)
			if !there || m.omitEmpty && isEmpty(field) {
				continue
			}
			w.buf = append(w.buf, m.prefix...)
			m.write(w, field)
		}
		if len(w.buf) == start {
			w.buf = append(w.buf, '{')
		}
		w.buf[start] = '{' // in place of the first member's comma
		w.buf = append(w.buf, '}')
	}
}

// of finds a member's field. It is not there where the struct that it is
// embedded by is nil.
func (m *member) of(v reflect.Value) (reflect.Value, bool) {
	for i, index := range m.path {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(index)
	}
	return v, true
}

// members lists those of a struct and of the structs that it embeds. It reports
// false for what only Marshal knows.
func (e *Encoder) members(t reflect.Type, path []int, outer []reflect.Type) (out []member, ok bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(path), i)
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-":
			continue
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() != reflect.Struct || has(inner, jsonForm) || has(inner, jsonFormTo) || has(inner, textForm) || slices.Contains(outer, inner) || !f.IsExported() {
				return nil, false
			}
			more, ok := e.members(inner, at, append(outer, inner))
			if !ok {
				return nil, false
			}
			out = append(out, more...)
			continue
		case !f.IsExported():
			continue
		case !tagged || name == "" || !isASCII(name) || options != "" && options != "omitempty":
			return nil, false
		}
		prefix := append(AppendString([]byte{','}, name), ':')
		out = append(out, member{name: name, prefix: string(prefix), path: at, omitEmpty: options != "", write: e.make(f.Type, outer)})
	}
	return out, true
}

// isEmpty is what encoding/json's omitempty leaves out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}
