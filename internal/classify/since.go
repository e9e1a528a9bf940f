package classify

import (
	"maps"
	"slices"
)

// Changes is what is different from an earlier report.
type Changes struct {
	NewColumns     []string `json:"new_columns"`
	GoneColumns    []string `json:"gone_columns"`
	RetypedColumns []string `json:"retyped_columns"`
	NewFindings    []string `json:"new_findings"`
	GoneFindings   []string `json:"gone_findings"`
	Changed        []Change `json:"changed"`
}

// Change is a finding whose classes, confidence, evidence or state are others now.
type Change struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	Now    string `json:"now"`
}

// None says that nothing has changed.
func (c *Changes) None() bool {
	return len(c.NewColumns)+len(c.GoneColumns)+len(c.RetypedColumns)+len(c.NewFindings)+len(c.GoneFindings)+len(c.Changed) == 0
}

// Since compares with an earlier report of the same target.
func (r *Report) Since(before *Report) *Changes {
	c := &Changes{NewColumns: []string{}, GoneColumns: []string{}, RetypedColumns: []string{}, NewFindings: []string{}, GoneFindings: []string{}, Changed: []Change{}}
	for _, name := range slices.Sorted(maps.Keys(r.Inventory)) {
		switch was, known := before.Inventory[name]; {
		case !known:
			c.NewColumns = append(c.NewColumns, name)
		case was != r.Inventory[name]:
			c.RetypedColumns = append(c.RetypedColumns, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Inventory)) {
		if _, still := r.Inventory[name]; !still {
			c.GoneColumns = append(c.GoneColumns, name)
		}
	}
	was, is := byName(before.Findings), byName(r.Findings)
	for _, name := range slices.Sorted(maps.Keys(is)) {
		switch old, known := was[name]; {
		case !known:
			c.NewFindings = append(c.NewFindings, name)
		case old.kind() != is[name].kind():
			c.Changed = append(c.Changed, Change{Name: name, Before: old.String(), Now: is[name].String()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, still := is[name]; !still {
			c.GoneFindings = append(c.GoneFindings, name)
		}
	}
	return c
}

func byName(all []Finding) map[string]*Finding {
	out := map[string]*Finding{}
	for i := range all {
		out[all[i].Name()] = &all[i]
	}
	return out
}

// kind is what is compared: counts of values differ from day to day.
func (f *Finding) kind() string {
	kinds := make([]string, 0, len(f.Evidence))
	for _, e := range f.Evidence {
		kinds = append(kinds, e.Kind)
	}
	slices.Sort(kinds)
	return f.said() + " " + string(f.State) + " " + join(slices.Compact(kinds))
}

// String is what was guessed, and why.
func (f *Finding) String() string { return f.said() + ", " + string(f.State) + ": " + f.Why() }

func (f *Finding) said() string { return join(f.Classes) + " " + string(f.Confidence) }
