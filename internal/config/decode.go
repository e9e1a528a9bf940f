package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds the values of a file once its aliases are followed, so that
// a small file cannot unfold into a huge one.
const maxNodes = 200_000

// decoder fills the Go types from parsed YAML. The yaml package's own decoding
// stops at lines and knows neither columns nor paths.
type decoder struct {
	*report
	kind  TargetKind // of the target being read
	nodes int
}

// value reads node into v and reports whatever is wrong below path.
func (d *decoder) value(path string, node *yaml.Node, v reflect.Value) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.unreadable(at(node), path, "the file is too large", "aliases unfold into too many values: write fewer of them")
		}
		return
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case isText(v):
		d.text(path, node, v)
	case v.Kind() == reflect.Struct:
		d.section(path, node, v)
	case v.Kind() == reflect.Map:
		d.table(path, node, v)
	case v.Kind() == reflect.Slice:
		d.list(path, node, v)
	default:
		d.text(path, node, v)
	}
}

// isText says whether a type reads itself from one scalar.
func isText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// section reads a mapping into a struct, defaults first.
func (d *decoder) section(path string, node *yaml.Node, v reflect.Value) {
	if !d.mapping(path, node) {
		return
	}
	if v.Type() == reflect.TypeFor[Target]() {
		d.kind = peekKind(node)
		defer func() { d.kind = "" }()
	}
	setDefaults(v, d.kind)
	fields := fieldsOf(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, val := node.Content[i], node.Content[i+1]
		if !d.unique(path, key, seen) {
			continue
		}
		n := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if n < 0 || !fields[n].knows(d.kind) {
			d.unknownKey(path, key, fields)
			continue
		}
		if isNull(val) {
			d.empty(path, key, v.Field(fields[n].index), fields[n])
			continue
		}
		d.keep(child(path, key.Value), key, val)
		d.value(child(path, key.Value), val, v.Field(fields[n].index))
	}
	for _, f := range fields {
		_, ok := seen[f.key]
		if !ok && f.required && (f.kind == "" || f.kind == d.kind) {
			d.missing(child(path, f.key), f)
		}
	}
}

func (d *decoder) missing(path string, f field) {
	hint := ""
	if f.example != "" {
		hint = fmt.Sprintf("write for example %s: %s", f.key, f.example)
	}
	d.add(path, "is missing", hint)
	d.failed[path] = true
}

// empty judges a key without a value: a section may be left empty, a value not.
func (d *decoder) empty(path string, key *yaml.Node, v reflect.Value, f field) {
	kind := v.Kind()
	if !f.required && (kind == reflect.Struct || kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice) {
		return
	}
	hint := "write a value, or leave the key out"
	if f.example != "" {
		hint = fmt.Sprintf("write for example %s: %s", f.key, f.example)
	}
	d.unreadable(at(key), child(path, key.Value), "has no value", hint)
}

// table reads a mapping with free keys.
func (d *decoder) table(path string, node *yaml.Node, v reflect.Value) {
	if !d.mapping(path, node) {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(node.Content)/2))
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, val := node.Content[i], node.Content[i+1]
		if !d.unique(path, key, seen) {
			continue
		}
		here := child(path, quoted(key.Value))
		k := reflect.New(v.Type().Key()).Elem()
		k.SetString(key.Value)
		if e, ok := k.Interface().(enum); ok && !slices.Contains(e.values(), key.Value) {
			d.unreadable(at(key), here, fmt.Sprintf("%q is not known here", key.Value), oneOf(key.Value, e.values()))
			continue
		}
		if isNull(val) {
			d.unreadable(at(key), here, "has no value", "write a value, or leave the key out")
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.keep(here, key, val)
		d.value(here, val, elem)
		v.SetMapIndex(k, elem)
	}
}

// list reads a sequence; a lone scalar is a list of one.
func (d *decoder) list(path string, node *yaml.Node, v reflect.Value) {
	elem := v.Type().Elem()
	items := node.Content
	switch {
	case node.Kind == yaml.SequenceNode:
	case node.Kind == yaml.ScalarNode && elem.Kind() == reflect.String:
		items = []*yaml.Node{node}
	default:
		d.unreadable(at(node), path, "is not a list", "write each entry on a line of its own after a dash")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		here := path + "[" + strconv.Itoa(i) + "]"
		if isNull(item) {
			d.unreadable(at(item), here, "has no value", "write a value, or remove the entry")
			continue
		}
		d.keep(here, item, item)
		d.value(here, item, out.Index(i))
	}
	v.Set(out)
}

// text reads a scalar.
func (d *decoder) text(path string, node *yaml.Node, v reflect.Value) {
	if node.Kind != yaml.ScalarNode {
		d.unreadable(at(node), path, "is not a single value", "write one value on the line of the key")
		return
	}
	if err := setText(node.Value, v); err != nil {
		what, hint := asProblem(err)
		d.unreadable(at(node), path, what, hint)
	}
}

// setText reads one text into a value of any scalar type.
func setText(text string, v reflect.Value) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if e, ok := v.Interface().(enum); ok && !slices.Contains(e.values(), text) {
		return &problem{fmt.Sprintf("%q is not known here", text), oneOf(text, e.values())}
	}
	switch v.Kind() {
	case reflect.String:
		if strings.ContainsRune(text, 0) {
			return &problem{"holds a NUL character", "remove it"}
		}
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return &problem{fmt.Sprintf("%q is not a whole number", text), "write digits only"}
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("type %s cannot be read", v.Type())
	}
	return nil
}

func (d *decoder) mapping(path string, node *yaml.Node) bool {
	if node.Kind == yaml.MappingNode {
		return true
	}
	if path == "" {
		d.unreadable(at(node), path, "the file is not a mapping", "begin with identity: and targets:")
		return false
	}
	d.unreadable(at(node), path, "is not a section with keys", "write its keys on the lines below, indented")
	return false
}

// keep remembers where a path stands: a section at its key, a value at itself.
func (d *decoder) keep(path string, key, val *yaml.Node) {
	d.places[path] = at(key)
	if val.Kind == yaml.ScalarNode {
		d.places[path] = at(val)
	}
}

func peekKind(node *yaml.Node) TargetKind {
	for i := 0; i+1 < len(node.Content); i += 2 {
		kind := TargetKind(node.Content[i+1].Value)
		if node.Content[i].Value == "kind" && slices.Contains(kind.values(), string(kind)) {
			return kind
		}
	}
	return ""
}

func at(node *yaml.Node) place { return place{node.Line, node.Column} }

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// quoted makes a free key fit for a path.
func quoted(key string) string {
	for _, r := range key {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return strconv.Quote(key)
		}
	}
	return key
}
