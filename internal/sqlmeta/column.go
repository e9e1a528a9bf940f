package sqlmeta

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func rowField(i int) string { return "f" + strconv.Itoa(i+1) }

// columnRef resolves a, t.a, s.t.a and d.s.t.a as the server's
// transformColumnRef: a column first, the whole row of a FROM item second, and
// t.f as f(t) last.
func (r *run) columnRef(ref *pg.ColumnRef, l *level) value {
	v := r.resolveColumn(ref, l)
	r.step(len(v.from)) // what is done with it is not counted again
	return v
}

func (r *run) resolveColumn(ref *pg.ColumnRef, l *level) value {
	fields := ref.GetFields()
	if n := len(fields); n > 0 && fields[n-1].GetAStar() != nil {
		return r.starValue(fields[:n-1], l)
	}
	names := texts(fields)
	switch len(names) {
	case 1:
		if v, ok := r.lookup(l, names[0]); ok {
			return v
		}
		if it, ok := r.relation(l, "", names[0]); ok {
			return it.whole
		}
	case 2:
		if it, ok := r.relation(l, "", names[0]); ok {
			return r.member(it, names[1])
		}
	case 3, 4:
		if it, ok := r.relation(l, names[len(names)-3], names[len(names)-2]); ok {
			return r.member(it, names[len(names)-1])
		}
	}
	if v, ok := r.parameter(names); ok {
		return v
	}
	return r.unknownColumn()
}

// unknownColumn is a column that nothing in reach has.
func (r *run) unknownColumn() value {
	r.risk(RiskUnknownColumn)
	return value{}.obscured(r.viewing == 0)
}

// starValue is t.* where it is one value, as in count(t.*).
func (r *run) starValue(fields []*pg.Node, l *level) value {
	names := texts(fields)
	if len(names) == 0 {
		var v value
		for _, it := range l.items {
			if it.byColumn {
				v = v.join(it.whole)
			}
		}
		return v
	}
	schema := ""
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	if it, ok := r.relation(l, schema, names[len(names)-1]); ok {
		return it.whole
	}
	return r.unknownColumn()
}

// member is item.name: a column, or a function of the whole row.
func (r *run) member(it *item, name string) value {
	if v, ok := r.column(it, name); ok {
		return v
	}
	if it.open {
		return it.rest.obscured(it.rest.told)
	}
	return r.attribute(it.whole, name)
}

// attribute is row.name where the row has no column of that name: the server
// takes it for name(row).
func (r *run) attribute(row value, name string) value {
	call := &pg.FuncCall{Funcname: []*pg.Node{pg.MakeStrNode(name)}}
	return r.apply(call, []value{row})
}

// indirection is (expression).field, (expression)[subscript], in any chain.
func (r *run) indirection(arg *pg.Node, steps []*pg.Node, l *level) value {
	v := r.expr(arg, l)
	for _, s := range steps {
		r.step(1)
		switch n := s.GetNode().(type) {
		case *pg.Node_String_:
			v = r.fieldOf(v, n.String_.GetSval())
		case *pg.Node_AIndices:
			at := r.expr(n.AIndices.GetLidx(), l).join(r.expr(n.AIndices.GetUidx(), l))
			at.fails = at.fails || len(at.from) > 0
			v = v.join(at)
		case *pg.Node_AStar:
			v = v.derive()
		default:
			r.risk(RiskUnparsed)
			v = value{opaque: true}
		}
	}
	return v
}

// fieldOf is a field of a composite value.
func (r *run) fieldOf(v value, name string) value {
	row := v.row
	if row == nil {
		row = r.compositeFields(v)
	}
	for _, f := range row {
		if f.name == name {
			return f.value
		}
	}
	if row != nil {
		return r.attribute(v, name)
	}
	// Of what type it is, and what that holds, is not known: a field of it, or a
	// function of it.
	if own, native := r.candidates("", name); native || len(own) > 0 {
		return r.attribute(v, name)
	}
	return v.derive()
}
