package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// from puts the items of a FROM clause into the namespace. While it is under
// way, items are visible only to what is LATERAL.
func (r *run) from(clause []*pg.Node, l *level) {
	start := len(l.items)
	for _, n := range clause {
		items := r.fromItem(n, l)
		for _, it := range items {
			it.lateralOnly = true
		}
		l.items = append(l.items, items...)
	}
	for _, it := range l.items[start:] {
		it.lateralOnly = false
	}
}

// fromItem is what one FROM entry makes visible.
func (r *run) fromItem(n *pg.Node, l *level) []*item {
	r.enter()
	defer r.leave()
	var it *item
	switch f := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		it = r.tableItem(f.RangeVar, l)
	case *pg.Node_RangeSubselect:
		s := f.RangeSubselect
		lateral(l, s.GetLateral(), func() {
			it = aliased(&item{rowset: r.query(s.GetSubquery(), l)}, s.GetAlias())
		})
	case *pg.Node_RangeFunction:
		lateral(l, true, func() { it = r.functionItem(f.RangeFunction, l) })
	case *pg.Node_RangeTableFunc:
		lateral(l, true, func() { it = r.xmlTable(f.RangeTableFunc, l) })
	case *pg.Node_JsonTable:
		lateral(l, true, func() { it = r.jsonTable(f.JsonTable, l) })
	case *pg.Node_RangeTableSample:
		return r.tableSample(f.RangeTableSample, l)
	case *pg.Node_JoinExpr:
		return r.joinExpr(f.JoinExpr, l)
	default:
		r.risk(RiskUnparsed)
		it = &item{rowset: rowset{open: true, rest: value{opaque: true}}, whole: value{opaque: true}}
	}
	it.byName, it.byColumn = it.name != "", true
	return []*item{it}
}

// lateral runs f while LATERAL references are allowed, or not.
func lateral(l *level, active bool, f func()) {
	saved := l.lateralActive
	l.lateralActive = active
	f()
	l.lateralActive = saved
}

// tableItem is a WITH query where the name is one, and a relation otherwise.
func (r *run) tableItem(rv *pg.RangeVar, l *level) *item {
	if rv.GetSchemaname() == "" && rv.GetCatalogname() == "" {
		if c := l.findCTE(rv.GetRelname()); c != nil {
			return r.cteItem(c, rv)
		}
	}
	return r.relationItem(rv, Read)
}

// aliased gives an item the name and the column names of its alias, if any.
func aliased(it *item, a *pg.Alias) *item {
	if a != nil {
		it.name = a.GetAliasname()
		it.rowset = it.named(texts(a.GetColnames()))
	}
	it.whole = it.rowset.whole()
	it.whole.row = it.columns
	return it
}

func (r *run) tableSample(s *pg.RangeTableSample, l *level) []*item {
	items := r.fromItem(s.GetRelation(), l)
	for _, n := range append(s.GetArgs()[:len(s.GetArgs()):len(s.GetArgs())], s.GetRepeatable()) {
		r.use(r.expr(n, l), UseFilter)
	}
	return items
}

// functionItem is a function, or ROWS FROM several, in a FROM clause.
func (r *run) functionItem(f *pg.RangeFunction, l *level) *item {
	it := &item{}
	for _, n := range f.GetFunctions() {
		parts := n.GetList().GetItems()
		if len(parts) == 0 {
			continue
		}
		definitions := f.GetColdeflist()
		if len(parts) > 1 && len(parts[1].GetList().GetItems()) > 0 {
			definitions = parts[1].GetList().GetItems()
		}
		single := ""
		if len(f.GetFunctions()) == 1 {
			single = f.GetAlias().GetAliasname()
		}
		if args := severalUnnested(parts[0], definitions); args != nil {
			for _, a := range args {
				v := r.expr(a, l).derive()
				r.use(v, UseFilter)
				it.columns = append(it.columns, field{"unnest", v})
			}
			r.function("pg_catalog.unnest")
			it.name = "unnest"
			continue
		}
		rows, name := r.functionRows(parts[0], definitions, single, l)
		it.columns = append(it.columns, rows.columns...)
		it.open = it.open || rows.open
		it.rest = it.rest.join(rows.rest)
		if it.name == "" {
			it.name = name
		}
	}
	if f.GetOrdinality() {
		it.columns = append(it.columns, field{name: "ordinality"})
	}
	return aliased(it, f.GetAlias())
}

// severalUnnested is the arguments of unnest(a, b, …), which the server takes
// apart into one unnest for each; nil for anything else.
func severalUnnested(n *pg.Node, definitions []*pg.Node) []*pg.Node {
	f := n.GetFuncCall()
	if name := texts(f.GetFuncname()); len(name) != 1 || name[0] != "unnest" || len(f.GetArgs()) < 2 || len(definitions) > 0 {
		return nil
	}
	return f.GetArgs()
}

// functionRows is the rows of one function. alias is the name that a lone
// function's lone column takes.
func (r *run) functionRows(n *pg.Node, definitions []*pg.Node, alias string, l *level) (rowset, string) {
	v := r.expr(n, l)
	name := r.outputName(n)
	all := v.derive()
	if !v.within {
		r.compute(v)
	}
	if len(definitions) > 0 {
		rows := rowset{rest: all}
		for _, d := range definitions {
			rows.columns = append(rows.columns, field{d.GetColumnDef().GetColname(), all})
		}
		return rows, name
	}
	switch {
	case v.row != nil:
		return rowset{columns: v.row, rest: all}, name
	case n.GetFuncCall() != nil && v.anyRow:
		all.opaque = true
		return rowset{open: true, rest: all}, name
	}
	column := name
	if v.lone != "" {
		column = v.lone
	} else if alias != "" {
		column = alias
	}
	return rowset{columns: []field{{column, all}}, rest: all}, name
}

// xmlTable is XMLTABLE: every column may hold anything of the document.
func (r *run) xmlTable(t *pg.RangeTableFunc, l *level) *item {
	all := r.expr(t.GetDocexpr(), l).join(r.expr(t.GetRowexpr(), l))
	for _, n := range t.GetNamespaces() {
		all = all.join(r.expr(n.GetResTarget().GetVal(), l))
	}
	r.use(all, UseFilter)
	it := &item{name: "xmltable"}
	for _, n := range t.GetColumns() {
		c := n.GetRangeTableFuncCol()
		v := all.join(r.expr(c.GetColexpr(), l)).join(r.expr(c.GetColdefexpr(), l))
		it.columns = append(it.columns, field{c.GetColname(), v})
	}
	return aliased(it, t.GetAlias())
}

// jsonTable is JSON_TABLE: every column may hold anything of the document.
func (r *run) jsonTable(t *pg.JsonTable, l *level) *item {
	all := r.jsonValue(t.GetContextItem(), l)
	for _, n := range t.GetPassing() {
		all = all.join(r.jsonValue(n.GetJsonArgument().GetVal(), l))
	}
	r.use(all, UseFilter)
	it := &item{name: "json_table"}
	it.columns = r.jsonTableColumns(t.GetColumns(), all, l)
	return aliased(it, t.GetAlias())
}

func (r *run) jsonTableColumns(nodes []*pg.Node, all value, l *level) []field {
	r.enter()
	defer r.leave()
	var out []field
	for _, n := range nodes {
		c := n.GetJsonTableColumn()
		if c.GetColtype() == pg.JsonTableColumnType_JTC_NESTED {
			out = append(out, r.jsonTableColumns(c.GetColumns(), all, l)...)
			continue
		}
		v := all.join(r.jsonBehavior(c.GetOnEmpty(), l)).join(r.jsonBehavior(c.GetOnError(), l))
		out = append(out, field{c.GetName(), v})
	}
	return out
}
