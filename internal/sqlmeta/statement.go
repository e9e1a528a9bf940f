package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// statement analyses one statement into s; r gathers what it finds.
func (r *run) statement(n *pg.Node, s *Statement) {
	switch n.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		r.queryStatement(n, s)
	case *pg.Node_CopyStmt:
		r.copyStatement(n.GetCopyStmt(), s)
	case *pg.Node_ExplainStmt:
		r.explain(n.GetExplainStmt(), s)
	case *pg.Node_PrepareStmt, *pg.Node_ExecuteStmt, *pg.Node_DeallocateStmt,
		*pg.Node_DeclareCursorStmt, *pg.Node_FetchStmt, *pg.Node_ClosePortalStmt:
		r.prepared(n, s)
	case *pg.Node_CreateTableAsStmt, *pg.Node_ViewStmt, *pg.Node_RefreshMatViewStmt:
		r.derivedRelation(n, s)
	default:
		if !r.session(n, s) && !r.server(n, s) {
			r.ddl(n, s)
		}
	}
}

// queryStatement is a statement that reads or writes rows. SELECT INTO creates a
// table.
func (r *run) queryStatement(n *pg.Node, s *Statement) {
	s.Action = ActionSelect
	if action := dmlAction(n); action != "" {
		s.Action = action
	}
	rows := r.query(n, new(level))
	if into := intoClause(n.GetSelectStmt()); into != nil {
		s.Action = ActionDDL
		r.risk(RiskDDL)
		r.created(into.GetRel(), into.GetColNames(), &rows)
		return
	}
	s.Action = graver(s.Action, r.modifies)
	if s.Action == ActionSelect || len(rows.columns) > 0 || rows.open {
		r.outputs(s, rows)
	}
}

// intoClause finds INTO, which stands in the leftmost SELECT of a UNION.
func intoClause(s *pg.SelectStmt) *pg.IntoClause {
	for s != nil {
		if into := s.GetIntoClause(); into != nil {
			return into
		}
		s = s.GetLarg()
	}
	return nil
}

// created notes a relation that is made from rows. It need not exist yet.
func (r *run) created(rv *pg.RangeVar, names []*pg.Node, rows *rowset) {
	schema := rv.GetSchemaname()
	if schema == "" && rv.GetRelpersistence() == "t" {
		schema = "pg_temp"
	}
	old, known := r.catalog.Relation(r.searchPath, schema, rv.GetRelname())
	if known && schema != "pg_temp" { // it is replaced
		schema = old.Schema
	}
	r.table(TableUse{schema, rv.GetRelname(), Write, known && schema == old.Schema})
	for i, c := range rows.named(texts(names)).columns {
		to := value{from: r.refs.set(ColumnRef{schema, rv.GetRelname(), c.name})}
		r.flow(to, nth(rows, i))
	}
	if rows.open {
		r.risk(RiskOpaque)
		all := rows.whole()
		if all.untold() {
			r.risk(RiskUntraced)
		}
		r.use(all, UseDerived)
	}
}

// derivedRelation is a table or view made from a query.
func (r *run) derivedRelation(n *pg.Node, s *Statement) {
	s.Action = ActionDDL
	switch {
	case n.GetCreateTableAsStmt() != nil:
		c := n.GetCreateTableAsStmt()
		r.risk(RiskDDL)
		if e := c.GetQuery().GetExecuteStmt(); e != nil { // of a query that only the session knows
			r.risk(RiskDynamicSQL)
			s.Opaque = true // dynamic_sql says why
			r.use(r.all(e.GetParams(), new(level)), UseDerived)
			r.table(TableUse{c.GetInto().GetRel().GetSchemaname(), c.GetInto().GetRel().GetRelname(), Write, false})
			return
		}
		rows := r.query(c.GetQuery(), new(level))
		r.created(c.GetInto().GetRel(), c.GetInto().GetColNames(), &rows)
		s.Action = graver(s.Action, r.modifies)
	case n.GetViewStmt() != nil:
		v := n.GetViewStmt()
		r.risk(RiskDDL)
		rows := r.query(v.GetQuery(), new(level))
		r.created(v.GetView(), v.GetAliases(), &rows)
	default:
		s.Action = ActionMaintain
		rel, ok := r.find(n.GetRefreshMatViewStmt().GetRelation(), Write)
		if ok {
			r.columns(rel, true)
		}
	}
}

// copyStatement is COPY of a table or a query. What goes out has the columns of
// the result; COPY of a table leaves generated columns out.
func (r *run) copyStatement(c *pg.CopyStmt, s *Statement) {
	s.Action = ActionCopy
	if c.GetIsProgram() {
		r.risk(RiskProgram, RiskFileAccess)
	} else if c.GetFilename() != "" {
		r.risk(RiskFileAccess)
	}
	if c.GetQuery() != nil {
		rows := r.query(c.GetQuery(), new(level))
		if action := dmlAction(c.GetQuery()); action != "" {
			s.Action = action
		}
		s.Action = graver(s.Action, r.modifies)
		r.copyOut(c, s, rows)
		return
	}
	if c.GetIsFrom() {
		r.risk(RiskCopyIn)
		it := r.target(c.GetRelation())
		names := texts(c.GetAttlist())
		if names == nil {
			names = copyColumns(it)
		}
		r.assign(it, names, &rowset{})
		l := new(level)
		l.add(it)
		r.use(r.expr(c.GetWhereClause(), l), UseFilter)
		return
	}
	it := r.relationItem(c.GetRelation(), Read)
	names := texts(c.GetAttlist())
	if names == nil {
		names = copyColumns(it)
	}
	rows := rowset{open: it.open, rest: it.rest}
	for _, name := range names {
		v, ok := r.column(it, name)
		if !ok && !it.open {
			v = r.unknownColumn()
		}
		rows.columns = append(rows.columns, field{name, v})
	}
	r.copyOut(c, s, rows)
}

func copyColumns(it *item) []string {
	var names []string
	for i, c := range it.columns {
		if it.rel == nil || i >= len(it.rel.Columns) || it.rel.Columns[i].Generated == "" {
			names = append(names, c.name)
		}
	}
	return names
}

func (r *run) copyOut(c *pg.CopyStmt, s *Statement, rows rowset) {
	r.risk(RiskCopyOut)
	if c.GetFilename() != "" { // nothing comes to the client, and no mask reaches it
		r.use(rows.whole(), UseDerived)
		return
	}
	if !c.GetIsProgram() {
		s.CopyOut = copyOutOf(c.GetOptions())
	}
	r.outputs(s, rows)
}
