package mask

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5/pgtype"
)

// documentCell masks what paths name within the JSON documents of a column. All else
// stays byte for byte. What is no JSON, or is nested deeper than 10,000, is redacted
// whole, and so is a column of a type that holds no documents.
func (b builder) documentCell(oid uint32) Cell {
	d := &document{json: &JSON{masker: b.m, rules: b.spec.Paths}, versioned: oid == pgtype.JSONBOID && b.bin}
	whole := builder{m: b.m, spec: Spec{With: Redact}, bin: b.bin, types: b.types, depth: b.depth}
	switch oid {
	case pgtype.JSONOID, pgtype.JSONBOID, pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID:
		d.redacted, _ = whole.redacted(oid)
		return d.cell
	}
	switch t, _ := typeOf(oid, b.types); t.Kind {
	case Domain:
		return b.inside().cell(t.Of)
	case Array:
		return b.array(t)
	}
	return whole.cell(oid)
}

// document masks one document after the other.
type document struct {
	json      *JSON
	versioned bool   // a jsonb in binary format
	redacted  []byte // stands for what cannot be read

	src  bytes.Reader
	dec  *jsontext.Decoder
	at   []position // where in the paths the values are that lie around this one
	name []byte     // scratch
	text []byte     // scratch
	in   []byte     // the document
	kept int        // of it, up to here, is in dst
	dst  []byte
}

func (d *document) cell(dst, value []byte) ([]byte, bool) {
	start, in := len(dst), value
	if d.versioned {
		if len(in) == 0 || in[0] != jsonbVersion {
			return append(dst, d.redacted...), false
		}
		dst, in = append(dst, jsonbVersion), in[1:]
	}
	d.in, d.kept, d.dst, d.at = in, 0, dst, d.at[:0]
	d.src.Reset(in)
	if d.dec == nil {
		d.dec = jsontext.NewDecoder(&d.src, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	} else {
		d.dec.Reset(&d.src, d.dec.Options())
	}
	for i := range d.json.rules {
		d.at = append(d.at, position{rule: i})
	}
	err := d.value(0)
	if err == nil {
		if _, err = d.dec.ReadToken(); errors.Is(err, io.EOF) {
			return append(d.dst, in[d.kept:]...), false
		}
	}
	return append(d.dst[:start], d.redacted...), false
}

// value masks a value whose positions are those of d.at from an index on.
func (d *document) value(from int) error {
	for _, p := range d.at[from:] {
		if rule := &d.json.rules[p.rule]; p.step == len(rule.Path.steps) {
			return d.hide(rule)
		}
	}
	kind := d.dec.PeekKind()
	if len(d.at) == from || (kind != '{' && kind != '[') {
		return d.dec.SkipValue()
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	until := len(d.at)
	for i := 0; d.dec.PeekKind() != kind+2; i++ { // the bracket that closes
		var name []byte
		if kind == '{' {
			raw, err := d.dec.ReadValue()
			if err != nil {
				return err
			}
			name = raw[1 : len(raw)-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				d.name, _ = jsontext.AppendUnquote(d.name[:0], raw) // what is not Unicode in it is no name of a path
				name = d.name
			}
		}
		for at := from; at < until; at++ {
			p := d.at[at]
			s := &d.json.rules[p.rule].Path.steps[p.step]
			if s.descend {
				d.at = append(d.at, p)
			}
			if s.takes(name, kind == '{', i) {
				d.at = append(d.at, position{rule: p.rule, step: p.step + 1})
			}
		}
		if err := d.value(until); err != nil {
			return err
		}
		d.at = d.at[:until]
	}
	_, err := d.dec.ReadToken()
	return err
}

// hide replaces the next value, unless it is null.
func (d *document) hide(r *Rule) error {
	v, err := d.dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	end := int(d.dec.InputOffset())
	d.dst = append(d.dst, d.in[d.kept:end-len(v)]...)
	d.kept = end
	d.dst, d.text = d.json.masker.appendJSON(d.dst, d.text, r.Spec, v)
	return nil
}
