package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// cte is a WITH query.
type cte struct {
	name    string
	node    *pg.CommonTableExpr
	level   *level // where it stands
	columns []string
	rows    rowset
	state   int8 // unseen, under way, known
	used    bool // it refers to itself
	seeded  bool // rows holds what its first part yields
	grown   bool // rows changed in this round
}

const (
	cteUnseen = iota
	cteUnderWay
	cteKnown
)

// withClause makes the WITH queries of a statement visible. Without RECURSIVE
// each sees only those before it; with it, each sees all.
func (r *run) withClause(w *pg.WithClause, l *level) {
	if w == nil {
		return
	}
	var all []*cte
	for _, n := range w.GetCtes() {
		c := &cte{name: n.GetCommonTableExpr().GetCtename(), node: n.GetCommonTableExpr(), level: l}
		c.columns = texts(c.node.GetAliascolnames())
		all = append(all, c)
		if w.GetRecursive() {
			l.ctes = append(l.ctes, c)
		}
	}
	for _, c := range all {
		if w.GetRecursive() {
			r.resolve(c)
			continue
		}
		r.settle(c, r.cteQuery(c))
		l.ctes = append(l.ctes, c)
	}
}

// resolve finds the rows of a WITH query of a RECURSIVE list. One that refers
// to itself is looked at again until its columns depend on nothing more.
func (r *run) resolve(c *cte) {
	r.enter()
	defer r.leave()
	switch c.state {
	case cteKnown:
		return
	case cteUnderWay:
		c.used = true
		return
	}
	c.state = cteUnderWay
	c.rows = rowset{open: true} // nothing, until its first part is known
	if s := c.node.GetCtequery().GetSelectStmt(); s != nil && s.GetOp() == pg.SetOperation_SETOP_UNION {
		if r.seeds == nil {
			r.seeds = map[any]*cte{}
		}
		r.seeds[s] = c
	}
	for {
		c.grown = false
		rows := r.cteQuery(c)
		if c.used {
			c.approximate(rows)
		}
		if !c.used || !c.grown {
			r.settle(c, rows)
			return
		}
	}
}

// approximate takes in what another look at a recursive query found.
func (c *cte) approximate(rows rowset) {
	rows = rows.named(c.columns)
	if !c.seeded {
		c.rows, c.seeded, c.grown = rows, true, true
		return
	}
	for i := range c.rows.columns {
		if i >= len(rows.columns) {
			break
		}
		old, seen := c.rows.columns[i].value, rows.columns[i].value
		now := either(old, seen)
		if len(now.from) != len(old.from) || now.opaque != old.opaque || now.direct != old.direct || now.fails != old.fails || now.owned != old.owned {
			c.rows.columns[i].value, c.grown = now, true
		}
	}
	if rows.open && !c.rows.open {
		c.rows.open, c.rows.rest, c.grown = true, rows.rest, true
	}
}

func (r *run) settle(c *cte, rows rowset) {
	rows = rows.named(c.columns)
	if s := c.node.GetSearchClause(); s != nil {
		rows.columns = append(rows.columns[:len(rows.columns):len(rows.columns)],
			field{s.GetSearchSeqColumn(), among(rows.columns, texts(s.GetSearchColList()))})
	}
	if s := c.node.GetCycleClause(); s != nil {
		v := among(rows.columns, texts(s.GetCycleColList()))
		rows.columns = append(rows.columns[:len(rows.columns):len(rows.columns)],
			field{s.GetCycleMarkColumn(), v}, field{s.GetCyclePathColumn(), v})
	}
	c.rows, c.state = rows, cteKnown
}

// among is a value that depends on the named columns.
func among(columns []field, names []string) value {
	var v value
	for _, c := range columns {
		for _, name := range names {
			if c.name == name {
				v = v.join(c.value)
			}
		}
	}
	return v
}

func (r *run) cteQuery(c *cte) rowset {
	n := c.node.GetCtequery()
	if action := dmlAction(n); action != "" {
		r.risk(RiskModifyingCTE)
		r.modifies = graver(r.modifies, action)
	}
	return r.query(n, c.level)
}

// cteItem is a FROM item for a WITH query.
func (r *run) cteItem(c *cte, rv *pg.RangeVar) *item {
	if c.state != cteKnown {
		r.resolve(c)
	}
	rows := c.rows
	if c.state != cteKnown { // the server cannot say where a reference to itself comes from
		rows.columns = append([]field(nil), rows.columns...)
		for i := range rows.columns {
			rows.columns[i].value = rows.columns[i].moved()
			rows.columns[i].terms = manyTerms // it may have grown in each round
		}
	}
	return aliased(&item{name: rv.GetRelname(), rowset: rows}, rv.GetAlias())
}
