package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// query is the result of a SELECT, or of a statement with RETURNING.
func (r *run) query(n *pg.Node, outer *level) rowset {
	switch q := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return r.selectStmt(q.SelectStmt, outer)
	case *pg.Node_InsertStmt:
		return r.insert(q.InsertStmt, outer)
	case *pg.Node_UpdateStmt:
		return r.update(q.UpdateStmt, outer)
	case *pg.Node_DeleteStmt:
		return r.delete(q.DeleteStmt, outer)
	case *pg.Node_MergeStmt:
		return r.merge(q.MergeStmt, outer)
	}
	r.risk(RiskUnparsed)
	return rowset{open: true, rest: value{opaque: true}}
}

func (r *run) selectStmt(s *pg.SelectStmt, outer *level) rowset {
	r.enter()
	defer r.leave()
	l := outer.child()
	r.withClause(s.GetWithClause(), l)
	var rows rowset
	switch {
	case s.GetOp() == pg.SetOperation_SETOP_UNION, s.GetOp() == pg.SetOperation_SETOP_INTERSECT, s.GetOp() == pg.SetOperation_SETOP_EXCEPT:
		rows = r.setOperation(s, l)
	case len(s.GetValuesLists()) > 0:
		rows = r.values(s, l)
	default:
		rows = r.plainSelect(s, l)
	}
	for _, n := range []*pg.Node{s.GetLimitCount(), s.GetLimitOffset()} {
		r.use(r.expr(n, l), UseFilter)
	}
	if len(s.GetLockingClause()) > 0 {
		r.risk(RiskRowLock)
	}
	return rows
}

func (r *run) plainSelect(s *pg.SelectStmt, l *level) rowset {
	r.from(s.GetFromClause(), l)
	l.condition = s.GetWhereClause()
	rows := r.targets(s.GetTargetList(), l)
	r.use(r.expr(s.GetWhereClause(), l), UseFilter)
	r.use(r.expr(s.GetHavingClause(), l), UseFilter)
	r.sort(s.GetSortClause(), &rows, l)
	for _, n := range s.GetGroupClause() {
		r.use(r.grouping(n, &rows, l), UseGroup)
	}
	r.distinct(s.GetDistinctClause(), &rows, l)
	for _, n := range s.GetWindowClause() {
		r.window(n.GetWindowDef(), l)
	}
	return rows
}

// sort notes ORDER BY: an output by name or position, or an expression.
func (r *run) sort(clause []*pg.Node, rows *rowset, l *level) {
	for _, n := range clause {
		by := n.GetSortBy().GetNode()
		v, ok := outputByName(by, rows)
		if !ok {
			v, ok = outputByPosition(by, rows)
		}
		if !ok {
			v = r.expr(by, l)
		}
		r.use(v, UseOrder)
	}
}

// grouping is what a GROUP BY entry depends on. A bare name is a column of the
// FROM clause first, an output second.
func (r *run) grouping(n *pg.Node, rows *rowset, l *level) value {
	r.enter()
	defer r.leave()
	if set := n.GetGroupingSet(); set != nil {
		var v value
		for _, c := range set.GetContent() {
			v = v.join(r.grouping(c, rows, l))
		}
		return v
	}
	if v, ok := outputByPosition(n, rows); ok {
		return v
	}
	if name, ok := bareName(n); ok {
		if v, ok := r.lookup(&level{items: l.items}, name); ok {
			return v
		}
		if v, ok := outputByName(n, rows); ok {
			return v
		}
	}
	return r.expr(n, l)
}

// distinct notes DISTINCT, which compares all outputs, and DISTINCT ON.
func (r *run) distinct(clause []*pg.Node, rows *rowset, l *level) {
	for _, n := range clause {
		if n.GetNode() == nil { // the server's mark for DISTINCT without ON
			r.use(rows.whole(), UseGroup)
			continue
		}
		v, ok := outputByName(n, rows)
		if !ok {
			v, ok = outputByPosition(n, rows)
		}
		if !ok {
			v = r.expr(n, l)
		}
		r.use(v, UseGroup)
	}
}

// bareName is the name that an expression is, if it is only that.
func bareName(n *pg.Node) (string, bool) {
	ref := n.GetColumnRef()
	if ref == nil || len(ref.GetFields()) != 1 {
		return "", false
	}
	s := ref.GetFields()[0].GetString_()
	return s.GetSval(), s != nil
}

func outputByName(n *pg.Node, rows *rowset) (value, bool) {
	name, ok := bareName(n)
	if !ok {
		return value{}, false
	}
	for _, c := range rows.columns {
		if c.name == name {
			return c.value, true
		}
	}
	return value{}, false
}

func outputByPosition(n *pg.Node, rows *rowset) (value, bool) {
	c := n.GetAConst()
	if c == nil {
		return value{}, false
	}
	i, ok := c.GetVal().(*pg.A_Const_Ival)
	if !ok {
		return value{}, false
	}
	at := int(i.Ival.GetIval())
	if at < 1 || at > len(rows.columns) {
		return rows.whole(), rows.open
	}
	return rows.columns[at-1].value, true
}

// values is a VALUES list: every row may stand in every column.
func (r *run) values(s *pg.SelectStmt, l *level) rowset {
	var rows rowset
	for i, n := range s.GetValuesLists() {
		for j, e := range n.GetList().GetItems() {
			v := r.expr(e, l).moved()
			r.compute(v)
			switch {
			case i == 0:
				rows.columns = append(rows.columns, field{columnN(j), v})
			case j < len(rows.columns):
				rows.columns[j].value = either(rows.columns[j].value, v)
			}
		}
	}
	r.sort(s.GetSortClause(), &rows, l)
	return rows
}

// setOperation is UNION, INTERSECT or EXCEPT. All but UNION ALL compare whole
// rows. What EXCEPT takes away is compared but never part of the result.
func (r *run) setOperation(s *pg.SelectStmt, l *level) rowset {
	left := r.selectStmt(s.GetLarg(), l)
	if c := r.seeds[s]; c != nil && !c.seeded {
		c.approximate(left)
	}
	right := r.selectStmt(s.GetRarg(), l)
	if s.GetOp() != pg.SetOperation_SETOP_UNION || !s.GetAll() {
		r.use(left.whole(), UseGroup)
		r.use(right.whole(), UseGroup)
	}
	rows := rowset{open: left.open || right.open, rest: left.rest.join(right.rest)}
	for i, c := range left.columns {
		r.step(1)
		v := c.moved()
		if i < len(right.columns) && s.GetOp() != pg.SetOperation_SETOP_EXCEPT {
			v = either(v, right.columns[i].value)
		} else if right.open {
			v = v.join(right.rest.obscured(right.rest.told))
		}
		rows.columns = append(rows.columns, field{c.name, v})
	}
	if len(s.GetSortClause()) > 0 {
		inner := &level{parent: l}
		inner.add(&item{rowset: rows})
		r.sort(s.GetSortClause(), &rows, inner)
	}
	return rows
}
