package config

import (
	"reflect"
	"slices"
	"strings"
)

// field is one key of a section, as the Go type's tags describe it.
type field struct {
	key      string
	index    int
	required bool
	preset   string // default
	example  string
	aka      []string
	kind     TargetKind // "" for all
	restart  bool
}

// fieldsOf lists the keys of a section in the order of the Go type.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key, _, _ := strings.Cut(tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		f := field{
			key: key, index: i, required: tag.Get("required") == "true", preset: tag.Get("default"),
			example: tag.Get("example"), kind: TargetKind(tag.Get("kind")), restart: tag.Get("reload") == "restart",
		}
		if aka := tag.Get("aka"); aka != "" {
			f.aka = strings.Split(aka, ",")
		}
		fields = append(fields, f)
	}
	return fields
}

// knows says whether targets of this kind have the key. Before a kind is known
// every key is.
func (f field) knows(kind TargetKind) bool { return f.kind == "" || kind == "" || f.kind == kind }

// synonym returns the key that people also call word, or "".
func synonym(word string, fields []field) string {
	for _, f := range fields {
		if slices.Contains(f.aka, strings.ToLower(word)) {
			return f.key
		}
	}
	return ""
}

func keys(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.key
	}
	return out
}
