package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// relocate notes what values are found under another name after a statement: of a
// column or table that it renames, or moves to another schema, and of a partition
// or child that it takes from its parent. What is known of a column is known by its
// name, so that is as if they had been written there.
func (r *run) relocate(n *pg.Node) {
	if q := n.GetRenameStmt(); q != nil {
		switch {
		case q.GetRenameType() == pg.ObjectType_OBJECT_SCHEMA:
			r.risk(RiskOpaqueFunction) // all that is in it
		case q.GetSubname() == "":
			r.relocated(q.GetRelation(), "", func(rel *Relation, c string) ColumnRef { return ColumnRef{rel.Schema, q.GetNewname(), c} })
		default:
			r.relocated(q.GetRelation(), q.GetSubname(), func(rel *Relation, _ string) ColumnRef { return ColumnRef{rel.Schema, rel.Name, q.GetNewname()} })
		}
	}
	if q := n.GetAlterObjectSchemaStmt(); q != nil {
		r.relocated(q.GetRelation(), "", func(rel *Relation, c string) ColumnRef { return ColumnRef{q.GetNewschema(), rel.Name, c} })
	}
	own := func(rel *Relation, c string) ColumnRef { return ColumnRef{rel.Schema, rel.Name, c} }
	for _, c := range n.GetAlterTableStmt().GetCmds() {
		switch cmd := c.GetAlterTableCmd(); cmd.GetSubtype() {
		case pg.AlterTableType_AT_DropInherit:
			r.relocated(n.GetAlterTableStmt().GetRelation(), "", own)
		case pg.AlterTableType_AT_DetachPartition:
			r.relocated(cmd.GetDef().GetPartitionCmd().GetName(), "", own)
		}
	}
}

// relocated notes one column of a relation, or with "" all of them, as written to
// where to says. A view keeps no values: its columns are those that they come from.
func (r *run) relocated(rv *pg.RangeVar, column string, to func(rel *Relation, column string) ColumnRef) {
	rel, ok := r.catalog.Relation(r.searchPath, rv.GetSchemaname(), rv.GetRelname())
	if !ok || rel.Kind == "v" {
		return
	}
	for _, f := range r.columns(rel, true) {
		if column == "" || f.name == column {
			r.flow(value{from: r.refs.set(to(rel, f.name))}, f.value)
		}
	}
}
