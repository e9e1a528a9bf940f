package sqlmeta

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// joinExpr is a JOIN. Its two sides stay visible by name, unless it has an
// alias; its columns are visible without a name: those of USING first.
func (r *run) joinExpr(j *pg.JoinExpr, l *level) []*item {
	left := r.fromItem(j.GetLarg(), l)
	saved := l.items
	r.step(len(saved) + len(left))
	for _, it := range left {
		it.lateralOnly = true
	}
	l.items = append(l.items[:len(l.items):len(l.items)], left...)
	right := r.fromItem(j.GetRarg(), l)
	l.items = saved
	for _, it := range left {
		it.lateralOnly = false
	}

	sides := slices.Concat(left, right)
	lrows, rrows := left[len(left)-1].rowset, right[len(right)-1].rowset
	using := texts(j.GetUsingClause())
	if j.GetIsNatural() {
		using = r.natural(&lrows, &rrows)
	}
	joined, merged := r.joinRows(j.GetJointype(), &lrows, &rrows, using)
	if q := j.GetQuals(); q != nil {
		l.with(sides, func() { r.use(r.expr(q, l), UseFilter) })
	}

	it := aliased(&item{rowset: joined}, j.GetAlias())
	it.byName, it.byColumn = it.name != "", true
	if j.GetAlias() != nil { // it hides what is in it
		return []*item{it}
	}
	for _, s := range sides {
		s.byColumn = false
	}
	if a := j.GetJoinUsingAlias(); a != nil {
		u := aliased(&item{rowset: rowset{columns: merged}}, a)
		u.byName = true
		sides = append(sides, u)
	}
	return append(sides, it)
}

// natural is the names that both sides have, in the order of the left.
func (r *run) natural(left, right *rowset) []string {
	if left.open || right.open {
		r.risk(RiskOpaque)
	}
	var names []string
	for _, c := range left.columns {
		if slices.ContainsFunc(right.columns, func(d field) bool { return d.name == c.name }) {
			names = append(names, c.name)
		}
	}
	return names
}

// joinRows is the columns of a join, and of its USING clause alone.
func (r *run) joinRows(kind pg.JoinType, left, right *rowset, using []string) (rowset, []field) {
	rows := rowset{open: left.open || right.open, rest: left.rest.join(right.rest)}
	for _, name := range using {
		a, b := member(left, name), member(right, name)
		r.use(a.join(b), UseFilter)
		rows.columns = append(rows.columns, field{name, mergedColumn(kind, a, b)})
	}
	merged := rows.columns[:len(rows.columns):len(rows.columns)]
	for _, side := range []*rowset{left, right} {
		for _, c := range side.columns {
			r.step(2)
			if !slices.Contains(using, c.name) {
				rows.columns = append(rows.columns, c)
			}
		}
	}
	return rows, merged
}

func member(rows *rowset, name string) value {
	for _, c := range rows.columns {
		if c.name == name {
			return c.value
		}
	}
	return rows.rest.obscured(rows.rest.told)
}

// mergedColumn is a column of USING: of the side that is always there, of either
// in an inner join, and COALESCE of both in a full one. A side whose type is not
// the one that both come to is converted, and then no longer a column of a table.
func mergedColumn(kind pg.JoinType, a, b value) value {
	common := commonType(a.typ, b.typ)
	mod := int32(-1)
	if a.typ == b.typ && a.mod == b.mod {
		mod = a.mod
	}
	as := func(v value) bool { return v.typ != 0 && v.typ == common && v.mod == mod }
	v := a
	switch kind {
	case pg.JoinType_JOIN_FULL:
		return either(a.moved(), b.moved())
	case pg.JoinType_JOIN_LEFT:
	case pg.JoinType_JOIN_RIGHT:
		v = b
	default:
		if common == 0 { // the server may take either
			return either(a.moved(), b.moved())
		}
		if !as(a) && as(b) {
			v = b
		}
	}
	if !as(v) {
		v = v.moved()
		v.direct, v.typ = false, common
	}
	return v
}
