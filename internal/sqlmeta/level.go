package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// item is an entry of a FROM clause (or the target of a DML statement), as the
// server's ParseNamespaceItem.
type item struct {
	name string // as it is referred to
	rel  *Relation
	bare bool // a relation without an alias: schema.name refers to it too
	rowset
	whole   value            // a reference to the item as a value
	written map[string]value // of the target of a statement: what its columns are set to

	byName      bool // as a relation: name.column, name.*
	byColumn    bool // its columns without a name in front
	lateralOnly bool // for LATERAL subqueries alone: the FROM clause is not done
}

// level is the namespace of one query, as the server's ParseState.
type level struct {
	parent        *level
	items         []*item
	ctes          []*cte
	condition     *pg.Node // WHERE
	lateralActive bool
}

func (l *level) child() *level { return &level{parent: l} }

func (l *level) sees(it *item) bool { return !it.lateralOnly || l.lateralActive }

// add makes an item visible by name and by column.
func (l *level) add(it *item) *item {
	it.byName, it.byColumn = it.name != "", true
	l.items = append(l.items, it)
	return it
}

// with runs f while only the given items are visible at this level.
func (l *level) with(items []*item, f func()) {
	saved := l.items
	l.items = items
	f()
	l.items = saved
}

// findCTE looks for a WITH query from the inside out.
func (l *level) findCTE(name string) *cte {
	for ; l != nil; l = l.parent {
		for _, c := range l.ctes {
			if c.name == name {
				return c
			}
		}
	}
	return nil
}

// systemColumns are the columns that every table has, and their attribute
// numbers (access/sysattr.h).
func systemColumn(name string) (int16, bool) {
	switch name {
	case "ctid":
		return -1, true
	case "xmin":
		return -2, true
	case "cmin":
		return -3, true
	case "xmax":
		return -4, true
	case "cmax":
		return -5, true
	case "tableoid":
		return -6, true
	}
	return 0, false
}

// column finds a column of an item. Open items have every column.
func (r *run) column(it *item, name string) (value, bool) {
	var found value
	n := 0
	for i := range it.columns {
		if it.columns[i].name == name {
			if n++; n == 1 {
				found = it.columns[i].value
			} else {
				found = found.join(it.columns[i].value)
			}
		}
	}
	if n > 0 {
		return found, true
	}
	if num, ok := systemColumn(name); ok && it.rel != nil && hasSystemColumns(it.rel.Kind) {
		from := r.refs.set(ColumnRef{it.rel.Schema, it.rel.Name, name})
		return value{from: from, direct: true, relation: it.rel.OID, column: num}, true
	}
	return value{}, false
}

func hasSystemColumns(kind string) bool {
	return kind == "r" || kind == "p" || kind == "m" || kind == "f" || kind == "S"
}

// stepsAtOnce is how many names compared make one step of work.
const stepsAtOnce = 16

// lookup resolves a column name without a relation in front of it, as the
// server's colNameToVar: the innermost level that has it wins. Where the server
// would find it ambiguous and refuse, all candidates count.
func (r *run) lookup(l *level, name string) (value, bool) {
	for ; l != nil; l = l.parent {
		var found value
		n, open, looked := 0, false, 0
		for _, it := range l.items {
			looked++
			if !it.byColumn || !l.sees(it) {
				continue
			}
			looked += len(it.columns)
			if v, ok := r.column(it, name); ok {
				if n++; n == 1 && !open {
					found = v
				} else {
					found = found.join(v)
				}
			} else if it.open {
				open = true
				found = found.join(it.rest)
			}
		}
		r.step(looked / stepsAtOnce)
		if n > 0 && !open {
			return found, true
		}
		if open { // it may be here, further out, or nowhere
			outer, _ := r.lookup(l.parent, name)
			found = found.join(outer)
			return found.obscured(found.told), true
		}
	}
	return value{}, false
}

// relation resolves the name of a FROM item, as the server's
// refnameNamespaceItem. With a schema only relations without an alias count.
func (r *run) relation(l *level, schema, name string) (*item, bool) {
	for ; l != nil; l = l.parent {
		r.step(len(l.items) / stepsAtOnce)
		for _, it := range l.items {
			if !it.byName || !l.sees(it) {
				continue
			}
			switch {
			case schema == "" && it.name == name:
				return it, true
			case schema != "" && it.bare && it.rel == nil && it.name == name: // an unknown relation
				return it, true
			case schema != "" && it.bare && it.rel != nil && it.rel.Schema == schema && it.rel.Name == name:
				return it, true
			}
		}
	}
	return nil, false
}
