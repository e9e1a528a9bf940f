package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unique reports a key that cannot be used, or that stood here before.
func (d *decoder) unique(path string, key *yaml.Node, seen map[string]int) bool {
	switch {
	case key.Kind != yaml.ScalarNode:
		d.at(at(key), path, "a key is not a plain word", "write key: value")
		return false
	case key.Tag == "!!merge":
		d.at(at(key), path, "merge keys (<<) are not supported", "write the keys out")
		return false
	}
	if line, ok := seen[key.Value]; ok {
		d.at(at(key), child(path, quoted(key.Value)), "stands here twice", fmt.Sprintf("the first is on line %d: keep one of them", line))
		return false
	}
	seen[key.Value] = key.Line
	return true
}

// unknownKey reports a key that the section does not have.
func (d *decoder) unknownKey(path string, key *yaml.Node, fields []field) {
	here := child(path, quoted(key.Value))
	var known, foreign []field
	for _, f := range fields {
		if f.knows(d.kind) {
			known = append(known, f)
		} else {
			foreign = append(foreign, f)
		}
	}
	m := synonym(key.Value, known)
	if n := slices.Index(keys(foreign), key.Value); m == "" && n >= 0 {
		d.unreadable(at(key), here, fmt.Sprintf("is only for kind %s, and this is kind %s", foreign[n].kind, d.kind), "remove it")
		return
	}
	if m == "" {
		m = nearest(key.Value, keys(known))
	}
	if m != "" {
		d.unreadable(at(key), here, "unknown key", "did you mean "+m+"?")
		d.failed[child(path, m)] = true
		return
	}
	d.unreadable(at(key), here, "unknown key", "known here: "+strings.Join(keys(known), ", "))
}
