package config

import (
	"maps"
	"reflect"
	"slices"
)

// Changes is what differs between two configurations. All lists are sorted.
type Changes struct {
	Added, Removed, Changed, Unchanged []string // targets, by name
	// Live are other sections that changed and can be applied at once
	// ("identity", "policy").
	Live []string
	// Restart are the keys that changed and take effect at the next start only
	// ("data", "evidence.spool").
	Restart []string
}

// Any says whether anything differs.
func (c *Changes) Any() bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.Live)+len(c.Restart) > 0
}

// Diff compares the running configuration with a new one.
func Diff(old, next *Config) Changes {
	var c Changes
	for _, name := range slices.Sorted(maps.Keys(next.Targets)) {
		before, ok := old.Targets[name]
		switch {
		case !ok:
			c.Added = append(c.Added, name)
		case reflect.DeepEqual(before, next.Targets[name]):
			c.Unchanged = append(c.Unchanged, name)
		default:
			c.Changed = append(c.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.Targets)) {
		if _, ok := next.Targets[name]; !ok {
			c.Removed = append(c.Removed, name)
		}
	}
	a, b := reflect.ValueOf(old).Elem(), reflect.ValueOf(next).Elem()
	for _, f := range fieldsOf(a.Type()) {
		if f.key == "targets" {
			continue
		}
		if c.section(f, f.key, a.Field(f.index), b.Field(f.index)) {
			c.Live = append(c.Live, f.key)
		}
	}
	slices.Sort(c.Live)
	slices.Sort(c.Restart)
	return c
}

// section compares one key and what is below it; keys that need a restart are
// noted. It returns whether anything changed that does not.
func (c *Changes) section(f field, path string, a, b reflect.Value) (live bool) {
	switch {
	case reflect.DeepEqual(a.Interface(), b.Interface()):
		return false
	case f.restart:
		c.Restart = append(c.Restart, path)
		return false
	case a.Kind() != reflect.Struct:
		return true
	}
	for _, below := range fieldsOf(a.Type()) {
		if c.section(below, child(path, below.key), a.Field(below.index), b.Field(below.index)) {
			live = true
		}
	}
	return live
}
