package config

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReferenceIsTrue compares docs/config.md with the types: each key has a
// row, with its default and when a change takes effect, and no row has no key.
func TestReferenceIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = strings.Split(m[2], " | ")
	}
	for _, f := range referenceFields("", reflect.TypeFor[Config](), false) {
		cells, ok := rows[f.key]
		delete(rows, f.key)
		if !ok || len(cells) != 3 {
			t.Errorf("%s has no row of four cells", f.key)
			continue
		}
		if f.preset != "" && cells[0] != "`"+f.preset+"`" {
			t.Errorf("%s: the default is `%s`, not %s", f.key, f.preset, cells[0])
		}
		if f.required && !strings.HasPrefix(cells[0], "required") {
			t.Errorf("%s is required, not %s", f.key, cells[0])
		}
		if f.kind != "" && !strings.HasPrefix(cells[1], "*"+string(f.kind)+"*.") {
			t.Errorf("%s is for kind %s only", f.key, f.kind)
		}
		if takes := map[bool]string{true: "restart", false: "at once"}[f.restart]; cells[2] != takes {
			t.Errorf("%s takes effect: %s, not %s", f.key, takes, cells[2])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		t.Errorf("%s is in the reference, but not in the file", key)
	}
}

// referenceFields lists the keys of a section and of those below it.
func referenceFields(path string, section reflect.Type, restart bool) []field {
	var all []field
	for _, f := range fieldsOf(section) {
		f.key, f.restart = child(path, f.key), f.restart || restart
		all = append(all, f)
		below, inside := section.Field(f.index).Type, f.key
		switch {
		case f.key == "targets":
			below, inside = below.Elem(), f.key+".NAME"
		case below.Kind() == reflect.Slice:
			below, inside = below.Elem(), f.key+"[]"
		}
		if below.Kind() == reflect.Pointer {
			below = below.Elem()
		}
		if below.Kind() == reflect.Struct {
			all = append(all, referenceFields(inside, below, f.restart)...)
		}
	}
	return all
}
