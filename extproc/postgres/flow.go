package postgres

import (
	"regexp"
	"slices"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// flow is a column whose value a statement writes into one: a value that a mask
// hides would be read as it is from where the mask does not reach.
type flow struct {
	column  sqlmeta.ColumnRef
	classes []string
}

// createsView marks what keeps no values: who reads a view is shown its columns
// as those that they come from.
var createsView = regexp.MustCompile(`(?i)^\s*create\s+(or\s+replace\s+)?((temp|temporary|recursive)\s+)*view\s`)

// flow adds what a statement writes from columns. A column that is written from
// itself counts too: a mask that keeps the last characters would show those of
// the part that was written back.
func (b *shapeBuilder) flow(st *sqlmeta.Statement) {
	if createsView.MatchString(st.Text) {
		return
	}
	for _, f := range st.Flows {
		for _, c := range f.From {
			b.flows = append(b.flows, flow{
				column: c, classes: b.classesOf(c),
			})
		}
	}
}

// escapes says whether a statement writes what is masked into a column.
func escapes(masks []gate.Mask, sh *shape) bool {
	return slices.ContainsFunc(sh.flows, func(f flow) bool {
		return slices.ContainsFunc(masks, func(m gate.Mask) bool { return sh.hides(&m, f.column, f.classes) })
	})
}

// quotes says whether the server's errors about a statement may quote rows with
// what is masked, whatever columns it names: "Failing row contains (…)". An
// UPDATE or DELETE reaches rows of other tables too, by their foreign keys.
func quotes(masks []gate.Mask, sh *shape) bool {
	for _, t := range sh.sql.Tables {
		if t.Access != string(sqlmeta.Write) {
			continue
		}
		rel, known := sh.catalog.Relation(nil, t.Schema, t.Name)
		if !known || sh.action != sqlmeta.ActionInsert {
			return true
		}
		for _, c := range rel.Columns {
			column := sqlmeta.ColumnRef{Schema: t.Schema, Table: t.Name, Column: c.Name}
			classes := sh.classesOf(column)
			if slices.ContainsFunc(masks, func(m gate.Mask) bool { return sh.hides(&m, column, classes) }) {
				return true
			}
		}
	}
	return false
}
