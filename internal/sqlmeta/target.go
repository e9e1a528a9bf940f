package sqlmeta

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func columnN(i int) string { return "column" + strconv.Itoa(i+1) }

// texts is the strings of a list of string nodes.
func texts(nodes []*pg.Node) []string {
	if len(nodes) == 0 {
		return nil
	}
	out := make([]string, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

// targets is the columns of a SELECT or RETURNING list.
func (r *run) targets(list []*pg.Node, l *level) rowset {
	rows := rowset{columns: make([]field, 0, len(list))}
	for _, n := range list {
		t := n.GetResTarget()
		if r.star(t.GetVal(), &rows, l) {
			continue
		}
		v := r.expr(t.GetVal(), l)
		name := t.GetName()
		if name == "" {
			name = r.outputName(t.GetVal())
		}
		if c := t.GetVal().GetAConst(); c != nil {
			v.typ, v.mod = constantType(c), -1
		}
		if !v.within {
			r.compute(v)
		}
		r.put(&rows, field{name, v.kept()})
	}
	return rows
}

func (r *run) put(rows *rowset, columns ...field) {
	r.step(len(columns))
	if len(rows.columns)+len(columns) > maxColumns {
		panic(errTooComplex)
	}
	rows.columns = append(rows.columns, columns...)
}

// star expands *, t.*, s.t.* and (expression).* into rows; false for anything
// else.
func (r *run) star(n *pg.Node, rows *rowset, l *level) bool {
	if ref := n.GetColumnRef(); ref != nil {
		f := ref.GetFields()
		if len(f) == 0 || f[len(f)-1].GetAStar() == nil {
			return false
		}
		if len(f) == 1 {
			for _, it := range l.items {
				if it.byColumn && l.sees(it) {
					r.expand(rows, &it.rowset)
				}
			}
			return true
		}
		names := texts(f[:len(f)-1])
		schema, name := "", names[len(names)-1]
		if len(names) > 1 {
			schema = names[len(names)-2]
		}
		it, ok := r.relation(l, schema, name)
		if !ok {
			r.expand(rows, &rowset{open: true, rest: r.unknownColumn()})
			return true
		}
		r.expand(rows, &it.rowset)
		return true
	}
	in := n.GetAIndirection()
	steps := in.GetIndirection()
	if len(steps) == 0 || steps[len(steps)-1].GetAStar() == nil {
		return false
	}
	v := r.indirection(in.GetArg(), steps[:len(steps)-1], l)
	if v.row == nil {
		v.row = r.compositeFields(v)
	}
	if v.row == nil {
		v = v.derive()
		r.expand(rows, &rowset{open: true, rest: v})
		return true
	}
	r.put(rows, v.row...)
	return true
}

func (r *run) expand(rows, of *rowset) {
	r.put(rows, of.columns...)
	if of.open {
		rows.open = true
		rows.rest = rows.rest.join(of.whole())
	}
}

// compositeFields is the fields of a value of a composite type.
func (r *run) compositeFields(v value) []field {
	if v.typ == 0 || r.routines == nil {
		return nil
	}
	rel, ok := r.routines.RelationByType(v.typ)
	if !ok {
		return nil
	}
	out := make([]field, 0, len(rel.Columns))
	for _, c := range rel.Columns {
		f := v.derive()
		f.typ, f.mod = c.TypeOID, c.TypeMod
		out = append(out, field{c.Name, f})
	}
	return out
}
