package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// target is the relation that a statement writes.
func (r *run) target(rv *pg.RangeVar) *item {
	it := r.relationItem(rv, Write)
	if it.rel != nil && it.rel.Definition != "" { // through the view
		for _, c := range it.columns {
			for _, n := range c.from {
				ref := r.refs.columns[n]
				r.table(TableUse{ref.Schema, ref.Table, Write, true})
			}
		}
	}
	return it
}

// assign notes that columns of the target are written from values, by position.
// Without names they are the target's own, in order.
func (r *run) assign(it *item, names []string, rows *rowset) {
	if names == nil {
		names = namesOf(it.columns)
	}
	if it.written == nil {
		it.written = map[string]value{}
	}
	for i, name := range names {
		to, ok := r.column(it, name)
		if !ok && !it.open {
			r.risk(RiskUnknownColumn)
		}
		from := nth(rows, i)
		r.flow(to, from)
		it.written[name] = it.written[name].join(from)
	}
	if it.open {
		r.use(rows.whole(), UseDerived)
	}
}

func nth(rows *rowset, i int) value {
	if i < len(rows.columns) {
		return rows.columns[i].value
	}
	return rows.rest
}

// setClause notes UPDATE's SET list.
func (r *run) setClause(it *item, list []*pg.Node, l *level) {
	for _, n := range list {
		t := n.GetResTarget()
		r.subscripts(t, l)
		rows := rowset{columns: []field{{value: r.expr(t.GetVal(), l)}}}
		r.assign(it, []string{t.GetName()}, &rows)
	}
}

// subscripts notes what stands in the brackets behind a column that is written:
// column[expression].
func (r *run) subscripts(t *pg.ResTarget, l *level) {
	for _, s := range t.GetIndirection() {
		i := s.GetAIndices()
		r.use(r.expr(i.GetLidx(), l).join(r.expr(i.GetUidx(), l)), UseFilter)
	}
}

// insertedNames is the column list of an INSERT, nil where there is none.
func (r *run) insertedNames(list []*pg.Node, l *level) []string {
	for _, n := range list {
		r.subscripts(n.GetResTarget(), l)
	}
	return resultNames(list)
}

func resultNames(list []*pg.Node) []string {
	if len(list) == 0 {
		return nil
	}
	names := make([]string, 0, len(list))
	for _, n := range list {
		names = append(names, n.GetResTarget().GetName())
	}
	return names
}

func (r *run) insert(s *pg.InsertStmt, outer *level) rowset {
	r.enter()
	defer r.leave()
	l := outer.child()
	r.withClause(s.GetWithClause(), l)
	it := r.target(s.GetRelation())
	var rows rowset
	names := r.insertedNames(s.GetCols(), l)
	if s.GetSelectStmt() != nil {
		rows = r.query(s.GetSelectStmt(), l)
		if names == nil && !rows.open && len(rows.columns) < len(it.columns) {
			names = namesOf(it.columns[:len(rows.columns)])
		}
		r.assign(it, names, &rows)
	}
	l.add(it)
	if c := s.GetOnConflictClause(); c != nil {
		r.onConflict(c, it, &rows, names, l)
	}
	return r.returning(s.GetReturningList(), it, l)
}

func namesOf(columns []field) []string {
	names := make([]string, 0, len(columns))
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// onConflict is ON CONFLICT: "excluded" is the row that was to be inserted.
func (r *run) onConflict(c *pg.OnConflictClause, it *item, rows *rowset, names []string, l *level) {
	for _, n := range c.GetInfer().GetIndexElems() {
		e := n.GetIndexElem()
		if e.GetName() != "" {
			v, _ := r.column(it, e.GetName())
			r.use(v, UseFilter)
		}
		r.use(r.expr(e.GetExpr(), l), UseFilter)
	}
	r.use(r.expr(c.GetInfer().GetWhereClause(), l), UseFilter)
	if c.GetAction() != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return
	}
	excluded := &item{name: "excluded", byName: true, byColumn: true, rowset: rowset{open: it.open, rest: rows.whole()}}
	for i, column := range it.columns {
		v := value{}
		if names == nil {
			v = nth(rows, i)
		}
		for j, name := range names {
			if name == column.name {
				v = nth(rows, j)
			}
		}
		excluded.columns = append(excluded.columns, field{column.name, v.derive()})
	}
	excluded.whole = wholeRow(excluded.columns)
	l.with([]*item{it, excluded}, func() {
		r.setClause(it, c.GetTargetList(), l)
		r.use(r.expr(c.GetWhereClause(), l), UseFilter)
	})
}

func (r *run) update(s *pg.UpdateStmt, outer *level) rowset {
	r.enter()
	defer r.leave()
	l := outer.child()
	r.withClause(s.GetWithClause(), l)
	it := l.add(r.target(s.GetRelation()))
	r.from(s.GetFromClause(), l)
	r.where(s.GetWhereClause(), it, l)
	r.setClause(it, s.GetTargetList(), l)
	return r.returning(s.GetReturningList(), it, l)
}

func (r *run) delete(s *pg.DeleteStmt, outer *level) rowset {
	r.enter()
	defer r.leave()
	l := outer.child()
	r.withClause(s.GetWithClause(), l)
	it := l.add(r.target(s.GetRelation()))
	r.from(s.GetUsingClause(), l)
	r.where(s.GetWhereClause(), it, l)
	return r.returning(s.GetReturningList(), it, l)
}

// where notes the condition of an UPDATE or DELETE. One that looks at no column
// of the target restricts nothing: WHERE true, WHERE 1 = 1.
func (r *run) where(n *pg.Node, it *item, l *level) {
	v := r.expr(n, l)
	r.use(v, UseFilter)
	if n.GetCurrentOfExpr() == nil && !r.touches(v, it) {
		r.risk(RiskNoWhere)
	}
}

// touches says whether a value depends on a column of an item.
func (r *run) touches(v value, it *item) bool {
	if it.open {
		return v.opaque || len(v.from) > 0
	}
	for _, n := range v.from {
		if c := r.refs.columns[n]; c.Schema == it.rel.Schema && c.Table == it.rel.Name {
			return true
		}
	}
	return false
}

// returning is a RETURNING list: beside the columns in reach, old and new are
// the target's row before and after (PostgreSQL 18).
func (r *run) returning(list []*pg.Node, it *item, l *level) rowset {
	if len(list) == 0 {
		return rowset{}
	}
	before := *it
	it.rewrite()
	for name, version := range map[string]item{"old": before, "new": *it} {
		if _, taken := r.relation(l, "", name); !taken {
			version.name, version.bare, version.byName, version.byColumn = name, false, true, false
			l.items = append(l.items, &version)
		}
	}
	return r.targets(list, l)
}

// rewrite makes the columns of a target what they are after the statement: what
// they were, or what they were set to.
func (it *item) rewrite() {
	columns := make([]field, len(it.columns))
	for i, c := range it.columns {
		if v := it.written[c.name]; v.opaque || !c.from.contains(v.from) {
			c.from, c.opaque, c.direct = c.from.union(v.from), c.opaque || v.opaque, false
		}
		columns[i] = c
	}
	it.columns = columns
	whole := it.whole
	it.whole = wholeRow(columns)
	it.whole.relation, it.whole.column, it.whole.opaque = whole.relation, whole.column, it.whole.opaque || whole.opaque
}
