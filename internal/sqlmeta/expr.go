package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// expr is what an expression depends on. Subqueries, windows and filters in it
// are noted as the uses that they are.
func (r *run) expr(n *pg.Node, l *level) value {
	if n.GetNode() == nil {
		return value{}
	}
	r.enter()
	defer r.leave()
	v := r.node(n, l)
	if v.owned && n.GetColumnRef() == nil && n.GetSubLink() == nil {
		v.fails = true // whether that is computed may depend on what stands around it
	}
	return v
}

func (r *run) node(n *pg.Node, l *level) value {
	switch e := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return r.columnRef(e.ColumnRef, l)
	case *pg.Node_AConst, *pg.Node_SetToDefault, *pg.Node_SqlvalueFunction,
		*pg.Node_GroupingFunc, *pg.Node_MergeSupportFunc, *pg.Node_CurrentOfExpr,
		*pg.Node_String_, *pg.Node_Integer, *pg.Node_Float, *pg.Node_Boolean, *pg.Node_BitString, *pg.Node_AStar:
		return value{}
	case *pg.Node_ParamRef:
		if r.params != nil {
			return r.params.value.derive()
		}
		return value{}
	case *pg.Node_AExpr:
		return r.operator(e.AExpr, l)
	case *pg.Node_BoolExpr:
		return r.boolExpr(e.BoolExpr.GetArgs(), l)
	case *pg.Node_FuncCall:
		return r.call(e.FuncCall, l)
	case *pg.Node_TypeCast:
		return r.cast(e.TypeCast, l)
	case *pg.Node_CollateClause:
		arg := r.expr(e.CollateClause.GetArg(), l)
		v := arg.derive()
		v.made, v.coll = arg.kind(), true
		return v
	case *pg.Node_SubLink:
		return r.subLink(e.SubLink, l)
	case *pg.Node_CaseExpr:
		return r.caseExpr(e.CaseExpr, l)
	case *pg.Node_CoalesceExpr:
		return r.alike(e.CoalesceExpr.GetArgs(), true, l)
	case *pg.Node_MinMaxExpr:
		return r.alike(e.MinMaxExpr.GetArgs(), false, l)
	case *pg.Node_NullTest:
		v := r.expr(e.NullTest.GetArg(), l).derive()
		v.fails = v.fails || v.depends(v) // of a row, the server asks field after field
		return v
	case *pg.Node_BooleanTest:
		return r.expr(e.BooleanTest.GetArg(), l).derive()
	case *pg.Node_RowExpr:
		return r.rowExpr(e.RowExpr, l)
	case *pg.Node_AArrayExpr:
		v := r.all(e.AArrayExpr.GetElements(), l)
		v.fails = v.fails || !fixed(n) // arrays in it must be equally long
		return v
	case *pg.Node_AIndirection:
		return r.indirection(e.AIndirection.GetArg(), e.AIndirection.GetIndirection(), l)
	case *pg.Node_List:
		return r.all(e.List.GetItems(), l)
	case *pg.Node_NamedArgExpr:
		return r.expr(e.NamedArgExpr.GetArg(), l)
	case *pg.Node_ResTarget:
		return r.expr(e.ResTarget.GetVal(), l).derive()
	case *pg.Node_MultiAssignRef:
		return r.multiAssign(e.MultiAssignRef, l)
	case *pg.Node_XmlExpr:
		return mayFail(r.all(e.XmlExpr.GetArgs(), l).join(r.all(e.XmlExpr.GetNamedArgs(), l)))
	case *pg.Node_XmlSerialize:
		return mayFail(r.expr(e.XmlSerialize.GetExpr(), l).derive())
	}
	if v, ok := r.json(n, l); ok {
		return mayFail(v)
	}
	r.risk(RiskUnparsed)
	return value{opaque: true, fails: true}
}

// all is a value that depends on all of several expressions.
func (r *run) all(nodes []*pg.Node, l *level) value {
	var v value
	for _, n := range nodes {
		v = v.join(r.expr(n, l))
	}
	return v
}

// boolExpr is AND, OR or NOT, of which the rest is not computed once the result is known.
func (r *run) boolExpr(nodes []*pg.Node, l *level) value {
	var v value
	for _, n := range nodes {
		w := r.expr(n, l)
		w.fails = w.fails || w.depends(v) || v.depends(w)
		v = v.join(w)
	}
	return v
}

// depends says that columns decide whether a subquery is run for v.
func (v value) depends(on value) bool { return v.query && (len(on.from) > 0 || on.opaque) }

// collides says that two values may have collations that do not go together, which is an
// error where they are compared or put together.
func (v value) collides(w value) bool {
	return v.coll && (w.coll || len(w.from) > 0) || w.coll && len(v.from) > 0
}

// operator may be the user's own: PostgreSQL finds it along the search path. One
// that is written with a schema other than pg_catalog certainly is.
func (r *run) operator(e *pg.A_Expr, l *level) value {
	left, right := r.expr(e.GetLexpr(), l), r.expr(e.GetRexpr(), l)
	v := left.join(right)
	v.fails = v.fails || left.collides(right)
	if e.GetRexpr().GetList() != nil { // compared with one after the other
		v.fails = v.fails || v.depends(v)
	}
	operatorFails(&v, e, left, right)
	r.operated(e.GetName(), &v)
	return v
}

// operated says what an operator of this name may make of a value.
func (r *run) operated(names []*pg.Node, v *value) {
	name := texts(names)
	switch {
	case len(name) == 0:
	case len(name) > 1 && name[0] != "pg_catalog":
		r.risk(RiskOpaqueFunction)
		*v = v.obscured(r.viewing == 0)
		v.fails = true
	case len(name) == 1:
		r.hidden("operator "+name[0], v)
	}
}

// hidden are the functions behind an operator or a cast.
func (r *run) hidden(name string, v *value) {
	r.sought[name] = struct{}{}
	own, _ := r.candidates("", name)
	for _, c := range own {
		v.fails = true
		if !pure(c) {
			r.function(c.Schema + "." + c.Name)
			made, _ := r.routine(c, *v)
			*v = v.join(made)
		}
	}
}

func (r *run) caseExpr(e *pg.CaseExpr, l *level) value {
	arg, results := r.expr(e.GetArg(), l), []*pg.Node{e.GetDefresult()}
	v := arg.derive()
	for _, n := range e.GetArgs() {
		w := n.GetCaseWhen()
		when := r.expr(w.GetExpr(), l)
		when.fails = when.fails || when.depends(v)
		v = v.join(when)
		if e.GetArg() != nil { // compared with it
			v.fails = v.fails || comparisonFails(e.GetArg(), w.GetExpr(), arg, when) || arg.collides(when)
		}
		results = append(results, w.GetResult())
	}
	result := r.alike(results, false, l)
	result.fails = result.fails || result.depends(v)
	v = v.join(result)
	v.made = result.made
	return v
}

// alike is a value that is one of several, which come to one type. inTurn says that
// one is computed only where those before it are NULL.
func (r *run) alike(nodes []*pg.Node, inTurn bool, l *level) value {
	var v value
	kind, several := uint32(0), false
	for _, n := range nodes {
		w := r.expr(n, l)
		w.fails = w.fails || inTurn && w.depends(v) || v.collides(w)
		v = v.join(w)
		switch {
		case n.GetNode() == nil || fixed(n) && w.kind() == 0:
		case !several:
			kind, several = w.kind(), true
		default:
			kind = together(kind, w.kind())
			v.fails = v.fails || kind == 0
		}
	}
	v.made = kind
	return v
}

// rowExpr is ROW(…): its fields are f1, f2, …; t.* in it stands for the columns.
func (r *run) rowExpr(e *pg.RowExpr, l *level) value {
	var rows rowset
	for _, n := range e.GetArgs() {
		if !r.star(n, &rows, l) {
			r.put(&rows, field{value: r.expr(n, l).moved()})
		}
	}
	for i := range rows.columns {
		rows.columns[i].name = rowField(i)
	}
	v := rows.whole()
	if !rows.open {
		v.row = rows.columns
	}
	return v
}

// subLink is a subquery in an expression. EXISTS depends on no column of its
// result; what it filters by is noted as filter.
func (r *run) subLink(s *pg.SubLink, l *level) value {
	test := r.expr(s.GetTestexpr(), l)
	rows := r.query(s.GetSubselect(), l)
	if s.GetTestexpr() != nil {
		test.fails = test.fails || len(rows.columns) != 1 || len(s.GetOperName()) > 0 && !comparison(s.GetOperName()) ||
			comparisonFails(s.GetTestexpr(), nil, test, rows.columns[0].value) ||
			len(test.from)+len(rows.columns[0].from) > 0 // the first row that is equal is the last one read
	}
	r.operated(s.GetOperName(), &test)
	switch s.GetSubLinkType() {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return value{query: true}
	case pg.SubLinkType_EXPR_SUBLINK:
		if len(rows.columns) == 1 && !rows.open {
			r.nameSubLink(s, rows.columns[0].name)
			v := rows.columns[0].moved()
			v.query = v.query || !unrun(s.GetSubselect())
			return v
		}
	}
	v := test.join(rows.whole()) // compared with a row, or assigned to several columns
	v.query = true
	if !rows.open {
		v.row = rows.columns
	}
	return v
}

// unrun says that a subquery is an expression and nothing else: (SELECT ssn).
func unrun(n *pg.Node) bool {
	s := n.GetSelectStmt()
	return s != nil && s.GetOp() == pg.SetOperation_SETOP_NONE && len(s.GetValuesLists())+len(s.GetFromClause())+len(s.GetLockingClause()) == 0 &&
		s.GetWhereClause() == nil && s.GetHavingClause() == nil && s.GetLimitCount() == nil && s.GetLimitOffset() == nil &&
		len(s.GetSortClause())+len(s.GetGroupClause())+len(s.GetWindowClause())+len(s.GetDistinctClause()) == 0 && s.GetWithClause() == nil
}

// multiAssign is one column of UPDATE … SET (a, b) = ….
func (r *run) multiAssign(m *pg.MultiAssignRef, l *level) value {
	v := r.expr(m.GetSource(), l)
	if m.GetNcolumns() == 1 && m.GetSource().GetSubLink() != nil {
		return v
	}
	if i := int(m.GetColno()) - 1; i >= 0 && i < len(v.row) {
		return v.row[i].moved()
	}
	return v.derive()
}
