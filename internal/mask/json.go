package mask

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Rule hides what a path of a JSON document names.
type Rule struct {
	Path  Path
	Class string // counted under this name
	Spec  Spec
}

// JSON hides values in JSON documents in one pass. It is safe for concurrent
// use.
type JSON struct {
	masker   *Masker
	rules    []Rule
	passages *Passages // to be hidden in what no rule names; may be nil
}

// JSON makes a masker of documents. Where several rules take a value, the first
// one hides it.
func (m *Masker) JSON(rules []Rule) (*JSON, error) {
	for _, r := range rules {
		if err := r.Spec.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Path, err)
		}
	}
	return &JSON{masker: m, rules: rules}, nil
}

// With hides passages too, in the strings, the numbers and the names that no rule
// hides.
func (j *JSON) With(p *Passages) *JSON { return &JSON{j.masker, j.rules, p} }

// Replaced is told of every value that was hidden: its class and the value as
// it stood in the document. It may be nil.
type Replaced func(class string, original []byte)

// Copy reads JSON values (one, or several one after another) from src and
// writes them to dst with the rules applied. White space is not kept. Where it
// fails, what was written so far is a masked prefix.
func (j *JSON) Copy(dst io.Writer, src io.Reader, replaced Replaced) error {
	return j.CopyWith(dst, src, replaced, &Found{})
}

// CopyWith is Copy that says what passages were found.
func (j *JSON) CopyWith(dst io.Writer, src io.Reader, replaced Replaced, f *Found) error {
	dec := jsontext.NewDecoder(src, jsontext.AllowDuplicateNames(true))
	enc := jsontext.NewEncoder(dst, jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(true))
	w := walk{json: j, dec: dec, enc: enc, replaced: replaced, found: f}
	start := make([]position, len(j.rules))
	for i := range j.rules {
		start[i] = position{rule: i}
	}
	for {
		if err := w.value(start); err != nil {
			if errors.Is(err, io.EOF) && dec.StackDepth() == 0 {
				return nil
			}
			return fmt.Errorf("JSON: %w", err)
		}
	}
}

// position is how far into a rule's path the current value is.
type position struct {
	rule int
	step int
}

type walk struct {
	json     *JSON
	dec      *jsontext.Decoder
	enc      *jsontext.Encoder
	replaced Replaced
	found    *Found
}

func (w *walk) value(at []position) error {
	for _, p := range at {
		if rule := &w.json.rules[p.rule]; p.step == len(rule.Path.steps) {
			return w.hide(rule)
		}
	}
	kind := w.dec.PeekKind()
	if len(at) == 0 && w.json.passages == nil || (kind != '{' && kind != '[') {
		v, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		return w.leaf(v)
	}
	if err := w.copyToken(); err != nil {
		return err
	}
	if kind == '{' {
		return w.members(at)
	}
	return w.elements(at)
}

func (w *walk) members(at []position) error {
	for w.dec.PeekKind() != '}' {
		name, err := w.dec.ReadToken()
		if err != nil {
			return err
		}
		text := name.String()
		if err := w.name(name, text); err != nil {
			return err
		}
		if err := w.value(w.advance(at, &text, 0)); err != nil {
			return err
		}
	}
	return w.copyToken()
}

func (w *walk) elements(at []position) error {
	for i := 0; w.dec.PeekKind() != ']'; i++ {
		if err := w.value(w.advance(at, nil, i)); err != nil {
			return err
		}
	}
	return w.copyToken()
}

func (w *walk) copyToken() error {
	t, err := w.dec.ReadToken()
	if err != nil {
		return err
	}
	return w.enc.WriteToken(t)
}

// advance gives the positions of a member or element.
func (w *walk) advance(at []position, name *string, index int) []position {
	var next []position
	for _, p := range at {
		s := w.json.rules[p.rule].Path.steps[p.step]
		if s.descend {
			next = append(next, p)
		}
		if s.matches(name, index) {
			next = append(next, position{rule: p.rule, step: p.step + 1})
		}
	}
	return next
}

func (w *walk) hide(r *Rule) error {
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	if v.Kind() == 'n' {
		return w.enc.WriteValue(v)
	}
	if w.replaced != nil {
		w.replaced(r.Class, v)
	}
	out, _ := w.json.masker.appendJSON(nil, nil, r.Spec, v)
	return w.enc.WriteValue(out)
}

// appendJSON keeps strings strings and numbers numbers; the rest is null. It uses
// scratch, and gives it back.
func (m *Masker) appendJSON(dst, scratch []byte, s Spec, v jsontext.Value) (out, used []byte) {
	switch v.Kind() {
	case '"':
		scratch, _ = jsontext.AppendUnquote(scratch[:0], v) // what is not Unicode becomes U+FFFD
		n := len(scratch)
		var null bool
		if s.With == DateTrunc {
			scratch, null = truncText(scratch, scratch[:n:n], s.Unit)
		} else {
			scratch, null = m.text(s, scratch, scratch[:n:n])
		}
		if !null {
			dst, _ = jsontext.AppendQuote(dst, scratch[n:])
			return dst, scratch
		}
	case '0':
		b := builder{m: m, spec: s}
		for _, hide := range []Cell{b.integerCell(int8Type), b.numericCell()} { // a whole number, or one with a fraction
			if hide == nil {
				break
			}
			kept := len(dst)
			if out, null := hide(dst, v); !null {
				return out, scratch
			}
			dst = dst[:kept]
		}
	}
	return append(dst, "null"...), scratch
}
