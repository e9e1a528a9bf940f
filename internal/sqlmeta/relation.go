package sqlmeta

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// find looks a relation up as the server does, and notes that it is touched.
func (r *run) find(rv *pg.RangeVar, access Access) (*Relation, bool) {
	r.step(1)
	rel, ok := r.catalog.Relation(r.searchPath, rv.GetSchemaname(), rv.GetRelname())
	if !ok {
		r.table(TableUse{rv.GetSchemaname(), rv.GetRelname(), access, false})
		return nil, false
	}
	r.table(TableUse{rel.Schema, rel.Name, access, true})
	r.code = r.code || rel.Code
	r.runs = r.runs || rel.Code && access == Write
	r.throughs = r.throughs || rel.Kind == "v" && access == Write
	for _, risk := range relationRisks(rel) {
		r.risks[risk] = struct{}{} // said inside views too
	}
	return rel, true
}

// relationItem is a FROM item for a relation. What the catalog does not have may
// have any column, and nothing is known of what is in it.
func (r *run) relationItem(rv *pg.RangeVar, access Access) *item {
	it := &item{name: rv.GetRelname(), bare: true}
	rel, ok := r.find(rv, access)
	if ok {
		it.rel = rel
		for _, kin := range r.family(rel, false) { // reading a partition is reading of what it is a part of
			r.table(TableUse{kin.Schema, kin.Name, access, true})
		}
		it.columns = r.columns(rel, rv.GetInh())
		it.whole = wholeRow(it.columns)
		it.whole.relation = rel.OID
	} else {
		r.risk(RiskUnknownRelation)
		it.whole = value{}.obscured(r.viewing == 0)
		it.rowset = rowset{open: true, rest: it.whole}
	}
	if a := rv.GetAlias(); a != nil {
		it.name, it.bare = a.GetAliasname(), false
		it.rowset = it.named(texts(a.GetColnames()))
		it.whole.row = it.columns
	}
	return it
}

// wholeRow is a reference to a whole row as a value.
func wholeRow(columns []field) value {
	v := sum(columns)
	v.row = columns
	return v
}

// columns is what a relation's columns depend on: themselves, the columns of
// the tables that they are inherited from or that are read along with them, what
// a generated column is computed from, and what is under a view.
func (r *run) columns(rel *Relation, inherited bool) []field {
	if known, ok := r.relations[rel.OID]; ok && inherited {
		return known
	}
	var under []field
	if rel.Definition != "" {
		under = r.view(rel)
	}
	family := r.family(rel, inherited)
	out := make([]field, len(rel.Columns))
	for i, c := range rel.Columns {
		r.step(1)
		own := []ColumnRef{{rel.Schema, rel.Name, c.Name}}
		for _, kin := range family {
			if hasColumn(kin, c.Name) {
				own = append(own, ColumnRef{kin.Schema, kin.Name, c.Name})
			}
		}
		v := value{
			from: r.refs.set(own...), direct: true,
			relation: rel.OID, column: c.Num, typ: c.TypeOID, mod: c.TypeMod,
			opaque: opaqueColumn(rel, c.Name), told: opaqueColumn(rel, c.Name),
		}
		if c.TypeOID >= firstUsers { // the server may cast it anywhere
			r.hidden("cast from #"+strconv.FormatUint(uint64(c.TypeOID), 10), &v)
		}
		if rel.Definition != "" {
			v.direct, v.opaque, v.told = i < len(under) && under[i].direct, i >= len(under), false
			if i < len(under) {
				v.from, v.opaque, v.told = v.from.union(under[i].from), under[i].opaque, under[i].told
				v.owned, v.terms = under[i].fails || under[i].owned, under[i].terms
			}
		}
		out[i] = field{c.Name, v}
	}
	r.generated(rel, out)
	if inherited {
		if r.relations == nil {
			r.relations = map[uint32][]field{}
		}
		r.relations[rel.OID] = out
	}
	return out
}

// firstUsers is the first OID of what users make (FirstNormalObjectId in access/transam.h).
const firstUsers = 16384

func hasColumn(rel *Relation, name string) bool {
	for i := range rel.Columns {
		if rel.Columns[i].Name == name {
			return true
		}
	}
	return false
}

// maxChildren bounds the partitions that are named as sources of their parent's
// columns; with more, the parent stands for all of them.
const maxChildren = 64

// family is every relation that shares columns with one by inheritance: all
// those above it, and, where they are read along with it, those below.
func (r *run) family(rel *Relation, inherited bool) []*Relation {
	if len(rel.Parents) == 0 && len(rel.Children) == 0 {
		return nil
	}
	var out []*Relation
	seen := map[uint32]bool{rel.OID: true}
	var walk func(rel *Relation, up bool)
	walk = func(rel *Relation, up bool) {
		next := rel.Children
		if up {
			next = rel.Parents
		}
		for _, oid := range next {
			kin, ok := r.catalog.RelationByOID(oid)
			if !ok || seen[oid] || (!up && len(seen) > maxChildren) {
				continue
			}
			seen[oid] = true
			out = append(out, kin)
			walk(kin, up)
		}
	}
	walk(rel, true)
	if inherited {
		walk(rel, false)
	}
	return out
}

// generated adds what generated columns are computed from.
func (r *run) generated(rel *Relation, out []field) {
	for i, c := range rel.Columns {
		if c.Generated == "" {
			continue
		}
		out[i].direct = false
		expr, err := r.a.trees.expression(c.Generated)
		if err != nil {
			out[i].opaque = true
			continue
		}
		l := new(level)
		l.add(&item{name: rel.Name, bare: true, rel: rel, rowset: rowset{columns: out}})
		r.inside(func() {
			v := r.expr(expr, l)
			all := out[i].join(v)
			out[i].from, out[i].opaque, out[i].told = all.from, all.opaque, all.told
			out[i].owned, out[i].terms = v.fails || v.owned, v.terms
		})
	}
}

// maxViews bounds how deep views may stand on views.
const maxViews = 64

// view is the lineage of a view's columns, from its definition; nothing where
// it cannot be understood.
func (r *run) view(rel *Relation) []field {
	if r.viewing >= maxViews {
		return nil
	}
	query, err := r.a.trees.query(rel.Definition)
	if err != nil {
		return nil
	}
	var rows rowset
	r.inside(func() { rows = r.query(query, new(level)) })
	if rows.open || len(rows.columns) != len(rel.Columns) {
		return nil
	}
	return rows.columns
}

// inside runs f for text that is the database's own: its names are all
// qualified, and what it filters and calls is not the asker's doing.
func (r *run) inside(f func()) {
	path, params := r.searchPath, r.params
	r.searchPath, r.params = nil, nil
	r.viewing++
	f()
	r.viewing--
	r.searchPath, r.params = path, params
}
