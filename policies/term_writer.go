package policies

import (
	"fmt"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// termWriter builds a value of OPA's.
type termWriter struct {
	names map[string]*ast.Term // made once; never changed
	stack []frame
	done  *ast.Term
	err   error
}

// frame is a list or object that is not complete yet.
type frame struct {
	isObject bool
	left     int
	items    []*ast.Term
	pairs    [][2]*ast.Term
	key      *ast.Term
}

// put places a complete term, and closes what it completes.
func (w *termWriter) put(t *ast.Term) {
	for {
		if len(w.stack) == 0 {
			w.done = t
			return
		}
		top := &w.stack[len(w.stack)-1]
		if top.isObject {
			top.pairs = append(top.pairs, [2]*ast.Term{top.key, t})
		} else {
			top.items = append(top.items, t)
		}
		if top.left--; top.left > 0 {
			return
		}
		t = top.term()
		w.stack = w.stack[:len(w.stack)-1]
	}
}

func (f *frame) term() *ast.Term {
	if f.isObject {
		return ast.ObjectTerm(f.pairs...)
	}
	return ast.ArrayTerm(f.items...)
}

func (w *termWriter) null()           { w.put(ast.InternedNullTerm) }
func (w *termWriter) flag(v bool)     { w.put(ast.InternedTerm(v)) }
func (w *termWriter) integer(v int64) { w.put(ast.InternedTerm(v)) }
func (w *termWriter) text(v string)   { w.put(ast.InternedTerm(valid(v))) }

func (w *termWriter) list(n int) {
	if n == 0 {
		w.put(ast.ArrayTerm())
		return
	}
	w.stack = append(w.stack, frame{left: n, items: make([]*ast.Term, 0, n)})
}

func (w *termWriter) object(n int) {
	if n == 0 {
		w.put(ast.ObjectTerm())
		return
	}
	w.stack = append(w.stack, frame{isObject: true, left: n, pairs: make([][2]*ast.Term, 0, n)})
}

func (w *termWriter) name(v string) {
	w.stack[len(w.stack)-1].key = w.nameTerm(v)
}

func (w *termWriter) nameTerm(v string) *ast.Term {
	if t, ok := w.names[v]; ok {
		return t
	}
	return ast.InternedTerm(valid(v))
}

func (w *termWriter) value(v any) {
	switch v := v.(type) {
	case string:
		w.text(v)
	case []any:
		if v == nil {
			w.null()
			return
		}
		w.list(len(v))
		for _, item := range v {
			w.value(item)
		}
	case map[string]any:
		if v == nil {
			w.null()
			return
		}
		w.object(len(v))
		for k, item := range v {
			w.name(k)
			w.value(item)
		}
	case map[string]string:
		if v == nil {
			w.null()
			return
		}
		w.object(len(v))
		for k, item := range v {
			w.name(k)
			w.text(item)
		}
	case map[string][]string:
		if v == nil {
			w.null()
			return
		}
		w.object(len(v))
		for k, items := range v {
			w.name(k)
			texts(w, items)
		}
	case []string:
		texts(w, v)
	default:
		converted, err := ast.InterfaceToValue(v)
		if err != nil {
			w.err = fmt.Errorf("input: %w", err)
			converted = ast.NullValue
		}
		w.put(ast.NewTerm(converted))
	}
}

// valid replaces what is not UTF-8, as encoding/json does.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
