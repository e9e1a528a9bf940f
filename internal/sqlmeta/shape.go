package sqlmeta

import (
	"strings"
)

// routineShape is the columns of a function of the catalog.
func (r *run) routineShape(c Routine) shape {
	if len(c.Outputs) > 0 {
		s := shape{scalar: len(c.Outputs) == 1, set: c.ReturnsSet}
		for _, o := range c.Outputs {
			s.columns = append(s.columns, o.Name)
			s.types = append(s.types, o.TypeOID)
		}
		return s
	}
	if rel, ok := r.routines.RelationByType(c.ReturnType); ok {
		s := shape{set: c.ReturnsSet}
		for _, o := range rel.Columns {
			s.columns = append(s.columns, o.Name)
			s.types = append(s.types, o.TypeOID)
		}
		return s
	}
	const record, anyElement, anyCompatible = 2249, 2283, 5077
	switch c.ReturnType {
	case record, anyElement, anyCompatible:
		return shape{set: c.ReturnsSet}
	}
	return shape{scalar: true, set: c.ReturnsSet}
}

// shaped gives a function's value the columns that its result has.
func shaped(v value, s shape, name string, args []value) value {
	v.anyRow = !s.scalar && len(s.columns) == 0
	if s.scalar && len(s.columns) == 1 {
		v.lone = s.columns[0]
	}
	if strings.HasPrefix(name, "json") && strings.Contains(name, "_populate_record") && len(args) > 0 {
		v.row = rowOf(args[0].row, v)
		return v
	}
	if s.scalar || len(s.columns) == 0 {
		return v
	}
	for i, name := range s.columns {
		f := v.derive()
		if i < len(s.types) {
			f.typ = s.types[i]
		}
		v.row = append(v.row, field{name, f})
	}
	return v
}

// rowOf is a row with these names, of which every column may depend on all of v.
func rowOf(columns []field, v value) []field {
	if columns == nil {
		return nil
	}
	out := make([]field, len(columns))
	for i, c := range columns {
		out[i] = field{c.name, v.derive()}
		out[i].typ, out[i].mod = c.typ, c.mod
	}
	return out
}
