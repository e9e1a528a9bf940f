package sqlmeta

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// asks notes what a statement about the schema asks about the rows that are there,
// or about those that will be: a constraint is tried on them, an index is made of
// them, a policy, rule or trigger depends on them. Whether it succeeds, and what
// comes of it later, tells of the values.
func (r *run) asks(n *pg.Node, s *Statement) {
	switch q := n.GetNode().(type) {
	case *pg.Node_AlterTableStmt:
		for _, c := range q.AlterTableStmt.GetCmds() {
			r.altered(q.AlterTableStmt.GetRelation(), c.GetAlterTableCmd())
		}
	case *pg.Node_CreateStmt:
		// A row of the default partition that belongs into a new one is an error.
		if parents := q.CreateStmt.GetInhRelations(); q.CreateStmt.GetPartbound() != nil && len(parents) > 0 {
			r.asksAll(parents[0].GetRangeVar(), UseFilter)
		}
	case *pg.Node_IndexStmt:
		r.indexed(q.IndexStmt)
	case *pg.Node_CreateStatsStmt:
		for _, rv := range q.CreateStatsStmt.GetRelations() {
			r.elements(r.asked(rv.GetRangeVar()), q.CreateStatsStmt.GetExprs(), UseGroup)
		}
	case *pg.Node_CreatePolicyStmt:
		r.conditions(q.CreatePolicyStmt.GetTable(), q.CreatePolicyStmt.GetQual(), q.CreatePolicyStmt.GetWithCheck())
	case *pg.Node_AlterPolicyStmt:
		r.conditions(q.AlterPolicyStmt.GetTable(), q.AlterPolicyStmt.GetQual(), q.AlterPolicyStmt.GetWithCheck())
	case *pg.Node_CreateTrigStmt:
		r.conditions(q.CreateTrigStmt.GetRelation(), q.CreateTrigStmt.GetWhenClause())
	case *pg.Node_RuleStmt:
		l := r.conditions(q.RuleStmt.GetRelation(), q.RuleStmt.GetWhereClause())
		for _, action := range q.RuleStmt.GetActions() {
			if dmlAction(action) != "" || action.GetSelectStmt() != nil {
				r.use(r.queryValue(action, l), UseDerived)
			}
		}
	case *pg.Node_AlterDomainStmt:
		// Of which columns the domain is, is not known.
		if slices.Contains([]string{"C", "V", "O"}, q.AlterDomainStmt.GetSubtype()) {
			r.risk(RiskOpaque)
		}
	case *pg.Node_CreateSchemaStmt:
		for _, e := range q.CreateSchemaStmt.GetSchemaElts() {
			var inner Statement
			r.statement(e, &inner)
			s.Opaque = s.Opaque || inner.Opaque
		}
	}
}

func (r *run) queryValue(n *pg.Node, l *level) value {
	rows := r.query(n, l)
	return rows.whole()
}

// asked is the namespace in which a relation's own conditions stand; without it where
// the catalog does not have the relation.
func (r *run) asked(rv *pg.RangeVar) *level {
	l := new(level)
	if _, known := r.catalog.Relation(r.searchPath, rv.GetSchemaname(), rv.GetRelname()); !known {
		l.add(&item{name: rv.GetRelname(), bare: true, rowset: rowset{open: true}})
		return l
	}
	l.add(r.relationItem(&pg.RangeVar{Schemaname: rv.GetSchemaname(), Relname: rv.GetRelname(), Inh: true}, Write))
	return l
}

// asksAll notes all columns of a relation, where it is not known which count.
func (r *run) asksAll(rv *pg.RangeVar, u Use) {
	r.use(r.asked(rv).items[0].whole, u)
}

func (r *run) asksNames(l *level, names []*pg.Node, u Use) {
	for _, name := range texts(names) {
		if v, ok := r.lookup(l, name); ok {
			r.use(v, u)
		}
	}
}

// conditions notes conditions on the rows of a relation; old and new stand for them
// in rules and triggers.
func (r *run) conditions(rv *pg.RangeVar, conditions ...*pg.Node) *level {
	l := r.asked(rv)
	for _, name := range []string{"old", "new"} {
		version := *l.items[0]
		version.name, version.bare, version.byName, version.byColumn = name, false, true, false
		l.items = append(l.items, &version)
	}
	for _, n := range conditions {
		r.use(r.expr(n, l), UseFilter)
	}
	return l
}

func (r *run) indexed(q *pg.IndexStmt) {
	l, u := r.asked(q.GetRelation()), UseOrder
	if q.GetUnique() {
		u = UseGroup
	}
	r.elements(l, q.GetIndexParams(), u)
	r.elements(l, q.GetIndexIncludingParams(), UseOrder)
	r.use(r.expr(q.GetWhereClause(), l), UseFilter)
}

// elements notes the columns and expressions of an index or of statistics.
func (r *run) elements(l *level, list []*pg.Node, u Use) {
	for _, n := range list {
		name, expr := n.GetIndexElem().GetName(), n.GetIndexElem().GetExpr()
		if s := n.GetStatsElem(); s != nil {
			name, expr = s.GetName(), s.GetExpr()
		}
		if name != "" {
			r.asksNames(l, []*pg.Node{pg.MakeStrNode(name)}, u)
		}
		r.use(r.expr(expr, l), u)
	}
}

// altered is one part of ALTER TABLE.
func (r *run) altered(rv *pg.RangeVar, c *pg.AlterTableCmd) {
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_AddConstraint:
		r.constrained(rv, c.GetDef().GetConstraint())
	case pg.AlterTableType_AT_AddColumn:
		for _, n := range c.GetDef().GetColumnDef().GetConstraints() {
			r.constrained(rv, n.GetConstraint())
		}
	case pg.AlterTableType_AT_AlterColumnType:
		l := r.asked(rv)
		to, _ := r.lookup(l, c.GetName())
		v := to
		if using := c.GetDef().GetColumnDef().GetRawDefault(); using != nil {
			v = r.expr(using, l)
			if !v.direct || !to.from.contains(v.from) {
				r.flow(to, v)
			}
		}
		v.fails = true // the type may not hold it
		r.use(v, UseFilter)
	case pg.AlterTableType_AT_SetExpression:
		r.use(r.expr(c.GetDef(), r.asked(rv)), UseDerived)
	case pg.AlterTableType_AT_SetNotNull:
		r.asksNames(r.asked(rv), []*pg.Node{pg.MakeStrNode(c.GetName())}, UseFilter)
	case pg.AlterTableType_AT_ValidateConstraint, pg.AlterTableType_AT_AlterConstraint:
		r.asksAll(rv, UseFilter)
	case pg.AlterTableType_AT_AttachPartition:
		r.asksAll(c.GetDef().GetPartitionCmd().GetName(), UseFilter)
		r.asksAll(rv, UseFilter) // of which the default partition may hold rows that belong there
	case pg.AlterTableType_AT_ClusterOn:
		r.asksAll(rv, UseOrder)
	}
}

// constrained is a constraint on rows that are there, or, where it is not valid for
// those, on what they are written back as.
func (r *run) constrained(rv *pg.RangeVar, c *pg.Constraint) {
	l := r.asked(rv)
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_CHECK:
		r.use(r.expr(c.GetRawExpr(), l), UseFilter)
	case pg.ConstrType_CONSTR_GENERATED:
		r.use(r.expr(c.GetRawExpr(), l), UseDerived)
	case pg.ConstrType_CONSTR_NOTNULL:
		r.asksNames(l, c.GetKeys(), UseFilter)
	case pg.ConstrType_CONSTR_UNIQUE, pg.ConstrType_CONSTR_PRIMARY:
		r.asksNames(l, c.GetKeys(), UseGroup)
		if c.GetIndexname() != "" { // of columns that are not known
			r.use(l.items[0].whole, UseGroup)
		}
	case pg.ConstrType_CONSTR_FOREIGN:
		r.asksNames(l, c.GetFkAttrs(), UseFilter)
		r.asksNames(r.asked(c.GetPktable()), c.GetPkAttrs(), UseFilter)
	case pg.ConstrType_CONSTR_EXCLUSION:
		for _, n := range c.GetExclusions() {
			if parts := n.GetList().GetItems(); len(parts) > 0 {
				r.elements(l, parts[:1], UseFilter)
			}
		}
		r.use(r.expr(c.GetWhereClause(), l), UseFilter)
	}
}
