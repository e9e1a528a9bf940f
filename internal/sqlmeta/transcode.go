package sqlmeta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// errTree marks a parse tree in a form that is not known here.
var errTree = errors.New("the parse tree is not as expected")

// A parse tree leaves the sandbox as JSON, in the protobuf mapping of pg_query's
// messages, because protobuf itself is ten times slower to write in there (every
// message is measured again at each level above it). Here the JSON becomes
// protobuf wire format, field by field, which then is read the fast way.

// wireMessage is how the fields of a message are written; the keys are JSON
// names with their quotes.
type wireMessage struct {
	name   string
	fields map[string]wireField
	varies bool // the message is a constant, or a parameter

	constant, holds bool // it is a constant; it is one, or the string in one
}

type wireField struct {
	number  protowire.Number
	kind    protoreflect.Kind
	list    bool
	message *wireMessage
	values  map[string]int32 // of an enum, with quotes

	statements bool // it is the list of the statements of a text
	location   bool // it is a place in the text
	varies     bool // it says nothing of what a statement does
	repeats    bool // it is a list in which equal neighbours count once
}

// parseResult is the root of every parse tree.
var parseResult = sync.OnceValue(func() *wireMessage {
	known := map[protoreflect.FullName]*wireMessage{}
	var message func(protoreflect.MessageDescriptor) *wireMessage
	message = func(d protoreflect.MessageDescriptor) *wireMessage {
		if m := known[d.FullName()]; m != nil {
			return m
		}
		m := &wireMessage{name: string(d.Name()), fields: map[string]wireField{}}
		m.constant = m.name == "A_Const"
		m.holds = m.constant || m.name == "String"
		m.varies = m.constant || m.name == "ParamRef"
		known[d.FullName()] = m
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			w := wireField{number: f.Number(), kind: f.Kind(), list: f.IsList()}
			w.varies = variable(d.Name(), f.Name())
			w.location = f.Name() == "location" || f.Name() == "name_location"
			switch d.Name() + "." + f.Name() {
			case "ParseResult.stmts":
				w.statements = true
			case "List.items", "SelectStmt.values_lists", "A_ArrayExpr.elements":
				w.repeats = true
			}
			if f.Message() != nil {
				w.message = message(f.Message())
			}
			if e := f.Enum(); e != nil {
				w.values = map[string]int32{}
				for j := range e.Values().Len() {
					v := e.Values().Get(j)
					w.values[`"`+string(v.Name())+`"`] = int32(v.Number())
				}
			}
			m.fields[`"`+f.JSONName()+`"`] = w
		}
		return m
	}
	return message((*pg.ParseResult)(nil).ProtoReflect().Descriptor())
})

// variable says that a field is about where something stands, or what a name of
// the session is.
func variable(message, field protoreflect.Name) bool {
	switch field {
	case "location", "stmt_location", "stmt_len", "name_location", "portalname", "savepoint_name", "gid":
		return true
	}
	return field == "name" && (message == "PrepareStmt" || message == "ExecuteStmt" || message == "DeallocateStmt")
}

// decodeTree reads a parse tree from its JSON, and makes a fingerprint of each
// statement: a hash of what it is made of, without constants and the like.
// (pg_query's own fingerprint takes three times as long as parsing does, and is
// too short to trust a list of allowed statements to.)
//
// The tree of an abridged text becomes that of the whole text, or an error where
// it may be another. a is nil for any other.
func decodeTree(raw []byte, a *abridged) (*pg.ParseResult, []string, error) {
	t := transcoder{in: jsontext.NewDecoder(bytes.NewBuffer(raw)), out: make([]byte, 0, len(raw)), abridged: a}
	if err := t.message(parseResult()); err != nil {
		return nil, nil, err
	}
	tree := new(pg.ParseResult)
	if err := proto.Unmarshal(t.out, tree); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errTree, err)
	}
	if len(t.prints) != len(tree.GetStmts()) {
		return nil, nil, errTree
	}
	if a != nil {
		if err := a.complete(tree, t.marked); err != nil {
			return nil, nil, err
		}
	}
	return tree, t.prints, nil
}

type transcoder struct {
	in      *jsontext.Decoder
	out     []byte   // protobuf
	essence []byte   // what makes up the statement
	skips   bool     // what is read now is none of it
	prints  []string // of the statements so far

	abridged *abridged // nil for a whole text
	steps    []step    // to the message that is read now
	place    int       // in the text, the last that was read
	marks    []int     // passages whose marks stand in what is read now
	marked   []marked  // constants so far in which marks stand
}

func (t *transcoder) message(m *wireMessage) error {
	if err := t.expect('{'); err != nil {
		return err
	}
	t.essence = append(t.essence, '{')
	place := -1
	for t.in.PeekKind() != '}' {
		name, err := t.in.ReadValue()
		if err != nil {
			return err
		}
		f, ok := m.fields[string(name)]
		if !ok {
			return fmt.Errorf("%w: %s has no field %s", errTree, m.name, name)
		}
		before, skipped := len(t.essence), t.skips
		t.essence = append(t.essence, name...)
		t.skips = skipped || f.varies || f.message != nil && f.message.varies
		if f.list {
			err = t.list(f)
		} else {
			err = t.field(f, 0)
		}
		if err != nil {
			return err
		}
		if f.location {
			place = t.place
		}
		if len(t.marks) > 0 && !m.holds {
			return errAbridged
		}
		t.skips = skipped
		switch {
		case f.varies:
			t.essence = t.essence[:before]
		case f.message != nil && f.message.varies:
			t.essence = append(t.essence[:before], '?')
		}
	}
	t.essence = append(t.essence, '}')
	if m.constant && len(t.marks) > 0 {
		if !t.abridged.quoted(place) {
			return errAbridged
		}
		t.marked = append(t.marked, marked{slices.Clone(t.steps), t.marks})
		t.marks = nil
	}
	return t.expect('}')
}

func (t *transcoder) list(f wireField) error {
	if err := t.expect('['); err != nil {
		return err
	}
	last := len(t.essence) // where the element before begins
	for i := 0; t.in.PeekKind() != ']'; i++ {
		start := len(t.essence)
		if err := t.field(f, i); err != nil {
			return err
		}
		switch {
		case f.statements:
			sum := sha256.Sum256(t.essence[start:])
			t.prints = append(t.prints, hex.EncodeToString(sum[:fingerprintBytes]))
			t.essence = t.essence[:start]
		case f.repeats && start > last && bytes.Equal(t.essence[last:start], t.essence[start:]):
			t.essence = t.essence[:start]
		default:
			last = start
		}
	}
	return t.expect(']')
}

// fingerprintBytes is the length of a fingerprint before it is written in hex.
const fingerprintBytes = 16

func (t *transcoder) expect(kind jsontext.Kind) error {
	token, err := t.in.ReadToken()
	if err == nil && token.Kind() != kind {
		err = fmt.Errorf("%w: %v where %v should be", errTree, token.Kind(), kind)
	}
	return err
}

// lengthBytes is the room kept for the length of a message or a text: a varint of
// fixed width.
const lengthBytes = 4

// begin starts a message or a text, whose length finish writes.
func (t *transcoder) begin(f wireField) (start int) {
	t.out = protowire.AppendTag(t.out, f.number, protowire.BytesType)
	t.out = append(t.out, 0x80, 0x80, 0x80, 0)
	return len(t.out)
}

func (t *transcoder) finish(start int) error {
	n := len(t.out) - start
	if bits.Len(uint(n)) > 7*lengthBytes {
		return fmt.Errorf("%w: it is too large", errTree)
	}
	for i := range lengthBytes {
		t.out[start-lengthBytes+i] |= byte(n>>(7*i)) & 0x7f
	}
	return nil
}

// field reads a field, or the element of a list.
func (t *transcoder) field(f wireField, index int) error {
	if f.message != nil {
		start := t.begin(f)
		t.steps = append(t.steps, step{f.number, index})
		if err := t.message(f.message); err != nil {
			return err
		}
		t.steps = t.steps[:len(t.steps)-1]
		return t.finish(start)
	}
	value, err := t.in.ReadValue()
	if err != nil {
		return err
	}
	if !t.skips {
		t.essence = append(t.essence, value...)
	}
	return t.scalar(f, value)
}

func (t *transcoder) scalar(f wireField, value jsontext.Value) error {
	if f.kind == protoreflect.StringKind {
		start := t.begin(f)
		var err error
		if t.out, err = jsontext.AppendUnquote(t.out, value); err != nil {
			return err
		}
		if t.abridged != nil {
			found, err := t.abridged.find(t.out[start:])
			if err != nil {
				return err
			}
			t.marks = append(t.marks, found...)
		}
		return t.finish(start)
	}
	var n int64
	ok := false
	switch f.kind {
	case protoreflect.BoolKind:
		ok = true
		switch string(value) {
		case "true":
			n = 1
		case "false":
		default:
			ok = false
		}
	case protoreflect.EnumKind:
		var v int32
		v, ok = f.values[string(value)]
		n = int64(v)
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		var err error
		n, err = strconv.ParseInt(string(value), 10, 64)
		ok = err == nil
	}
	if !ok {
		return fmt.Errorf("%w: %s is no value of a field of kind %s", errTree, value, f.kind)
	}
	if f.location && t.abridged != nil {
		t.place = int(n)
		n = int64(t.abridged.original(t.place))
	}
	t.out = protowire.AppendTag(t.out, f.number, protowire.VarintType)
	t.out = protowire.AppendVarint(t.out, uint64(n))
	return nil
}
