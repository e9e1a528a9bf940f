package sqlmeta

// value is what an expression may yield, as far as its origin goes. The zero
// value is a constant.
type value struct {
	from   refs // every column that it depends on
	direct bool // an unchanged base column
	opaque bool // from may lack something,
	told   bool // for reasons that other risks than opaque say

	relation uint32 // what RowDescription says of it: table OID,
	column   int16  // attribute number

	typ uint32 // pg_type OID where it is a column's, 0 where it is not known
	mod int32  // type modifier

	fails bool   // computing it may fail
	owned bool   // so may what a definition of the owner's computes of it
	query bool   // a subquery is run for it, which may fail and leaves traces: scans, locks
	coll  bool   // COLLATE stands in it, and may not go with the collation of another
	made  uint32 // pg_type OID of what a function or operator makes, 0 where it is not known
	terms int32  // about how many columns and constants it is as long as; 0 is 1

	row    []field // the columns of a composite value, where they are known
	anyRow bool    // it is a row, or may be one, of which the columns are not known
	within bool    // what its columns are computed from has been noted where that is done
	lone   string  // what a function calls its only column
}

// field is a named value: a column of a row.
type field struct {
	name string
	value
}

// rowset is the shape of a query's result.
type rowset struct {
	columns []field
	open    bool  // there may be more columns than these
	rest    value // what a column that is not among them may depend on
}

// join is a value that depends on both.
func (v value) join(w value) value {
	return value{
		from: v.from.union(w.from), opaque: v.opaque || w.opaque,
		told:  (v.opaque || w.opaque) && !v.untold() && !w.untold(),
		fails: v.fails || w.fails, owned: v.owned || w.owned, terms: max(v.terms, w.terms),
		query: v.query || w.query, coll: v.coll || w.coll,
	}
}

// derive is a value that is computed from v.
func (v value) derive() value {
	return value{
		from: v.from, opaque: v.opaque, told: v.told,
		fails: v.fails, owned: v.owned, terms: v.terms, query: v.query, coll: v.coll,
	}
}

// as is v with the type that w has.
func (v value) as(w value) value {
	v.typ, v.mod = w.typ, w.mod
	return v
}

// untold says that a value is opaque for a reason that no other risk says.
func (v value) untold() bool { return v.opaque && !v.told }

// obscured is v after something that can return anything, of which a risk says so
// where told.
func (v value) obscured(told bool) value {
	v.told = told && !v.untold()
	v.opaque = true
	return v
}

// moved is v as the server shows it after it went through an expression that
// leaves it unchanged (a scalar subquery): without a table of its own.
func (v value) moved() value {
	v.relation, v.column = 0, 0
	return v.kept()
}

// kept is v as a column of a query's result: what is taken from it later is no
// longer a column of a table, though v itself may be one.
func (v value) kept() value {
	if v.row == nil {
		return v
	}
	row := make([]field, len(v.row))
	for i, f := range v.row {
		f.value = f.moved()
		row[i] = f
	}
	v.row = row
	return v
}

// either is a value that is one or the other: of a set operation, or of a
// merged column of a FULL JOIN.
func either(v, w value) value {
	out := v.join(w)
	if v.typ == w.typ {
		out.typ = v.typ
		if v.mod == w.mod {
			out.mod = v.mod
		}
	}
	if v.direct && w.direct && v.from.contains(w.from) && w.from.contains(v.from) {
		out.direct = true
	}
	if len(v.row) == len(w.row) {
		for i := range v.row {
			out.row = append(out.row, field{v.row[i].name, either(v.row[i].value, w.row[i].value)})
		}
	}
	return out
}

// sum is a value that depends on all columns of a row.
func sum(columns []field) value {
	var out value
	for _, c := range columns {
		out = out.join(c.value)
	}
	return out
}

// whole is everything that a column of the rowset may depend on.
func (s *rowset) whole() value {
	v := sum(s.columns)
	if s.open {
		v = v.join(s.rest.obscured(s.rest.told))
	}
	return v
}

// named is the rowset with its first columns renamed.
func (s rowset) named(names []string) rowset {
	if len(names) == 0 {
		return s
	}
	columns := make([]field, 0, max(len(s.columns), len(names)))
	columns = append(columns, s.columns...)
	for i, name := range names {
		switch {
		case i < len(columns):
			columns[i].name = name
		case s.open:
			columns = append(columns, field{name, s.rest.obscured(s.rest.told)})
		}
	}
	s.columns = columns
	return s
}
