package postgres

import (
	"slices"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// under is the same text under another classification. What a portal or a cursor
// delivers is classified as it is now, not as it was when it was made.
func (s *shape) under(class Classification) *shape {
	if s == nil || s.class == class {
		return s
	}
	c := *s
	c.class, c.classes = class, nil
	c.sql.Columns, c.flows = slices.Clone(s.sql.Columns), slices.Clone(s.flows)
	b := shapeBuilder{shape: &c}
	for i := range c.sql.Columns {
		col := &c.sql.Columns[i]
		if col.Classes = c.classesOf(sqlmeta.ColumnRef{Schema: col.Schema, Table: col.Table, Column: col.Name}); col.Classes == nil {
			col.Classes = []string{}
		}
		col.Paths = c.pathsOf(sqlmeta.ColumnRef{Schema: col.Schema, Table: col.Table, Column: col.Name}, col.Classes)
		if col.Use == string(sqlmeta.UseOutput) || col.Use == string(sqlmeta.UseDerived) {
			b.give(col.Classes)
		}
	}
	for i := range c.flows {
		f := &c.flows[i]
		f.classes = c.classesOf(f.column)
	}
	return &c
}
