package sqlmeta

import (
	_ "embed"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
)

//go:embed builtins.txt
var builtinText string

// builtins is the server's own functions (PostgreSQL 18; see builtins.sql), each
// with its columns where it returns rows of a known shape.
var builtins = sync.OnceValue(func() map[string]shape {
	lines := strings.Split(strings.TrimSpace(builtinText), "\n")
	out := make(map[string]shape, len(lines))
	for _, line := range lines {
		name, columns, found := strings.Cut(line, "=")
		name, set := strings.CutSuffix(name, "+")
		name, ofRow := strings.CutSuffix(name, "*")
		s := shape{ofRow: ofRow, set: set, scalar: !found}
		if found && columns != "?" {
			s.columns = strings.Split(columns, ",")
			s.scalar = len(s.columns) == 1
		}
		out[name] = s
	}
	return out
})

// shape is what a function returns: one value, or a row. A scalar with one
// column is named after it; one that is neither is not known.
type shape struct {
	columns []string
	types   []uint32
	scalar  bool
	ofRow   bool // it takes a row as its only argument
	set     bool // it returns a set
}

// call is a function call: its arguments, and what stands around them.
func (r *run) call(f *pg.FuncCall, l *level) value {
	args := make([]value, 0, len(f.GetArgs()))
	for _, n := range f.GetArgs() {
		args = append(args, r.expr(n, l))
	}
	r.use(r.expr(f.GetAggFilter(), l), UseFilter)
	if f.GetAggDistinct() {
		r.use(joined(args), UseGroup)
	}
	if f.GetAggWithinGroup() { // the order is the argument
		for _, n := range f.GetAggOrder() {
			args = append(args, r.expr(n.GetSortBy().GetNode(), l))
		}
	}
	r.orderBy(f.GetAggOrder(), l)
	r.window(f.GetOver(), l)
	if name, _ := lastName(f.GetFuncname()); name == "set_config" {
		r.setting(settingName(f, l))
	}
	return r.apply(f, args)
}

func (r *run) orderBy(list []*pg.Node, l *level) {
	for _, n := range list {
		v := r.expr(n.GetSortBy().GetNode(), l)
		r.operated(n.GetSortBy().GetUseOp(), &v)
		r.use(v, UseOrder)
	}
}

// window notes what an OVER or WINDOW clause partitions and orders by.
func (r *run) window(w *pg.WindowDef, l *level) {
	if w == nil {
		return
	}
	r.use(r.all(w.GetPartitionClause(), l), UseGroup)
	r.orderBy(w.GetOrderClause(), l)
	r.use(r.expr(w.GetStartOffset(), l).join(r.expr(w.GetEndOffset(), l)), UseFilter)
}

// apply is the value of a function of these arguments, by the function's name:
// every function that the name can mean counts.
func (r *run) apply(f *pg.FuncCall, args []value) value {
	names := texts(f.GetFuncname())
	if len(names) == 0 {
		r.risk(RiskUnparsed)
		return value{opaque: true}
	}
	schema, name := "", names[len(names)-1]
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	v := joined(args)

	own, native := r.candidates(schema, name)
	if field, ok := projection(name, schema, args); ok && len(own) == 0 && !builtins()[name].ofRow {
		return field
	}
	given, sh, known, foreign := v, shape{}, false, !native
	var columns []field
	if native {
		sh, known = builtins()[name]
		r.function("pg_catalog." + name)
		r.native(name, &v)
	}
	for _, c := range own {
		s := r.routineShape(c)
		switch {
		case native && c.Schema == "pg_catalog" && c.Extension == "": // the server's own word on its shape
			sh, known = s, true
			continue
		case !known:
			sh, known = s, true
		case len(s.columns) != len(sh.columns) || s.scalar != sh.scalar:
			sh = shape{set: sh.set || s.set}
		}
		foreign = true
		r.function(c.Schema + "." + c.Name)
		var made value
		made, columns = r.routine(c, given)
		v = v.join(made)
	}
	if !known {
		r.function(strings.Join(names, "."))
		r.risk(RiskUnknownFunction)
		r.use(v, UseDerived)
		v = v.obscured(r.viewing == 0)
	}
	if failing(&v, name, f, args); foreign {
		v.fails, v.made, v.terms = true, 0, manyTerms
	}
	if sh.set { // how many rows there are tells of the arguments
		r.use(given, UseFilter)
	}
	v = shaped(v, sh, name, args)
	if len(own) == 1 && !native && len(columns) > 0 && len(columns) == len(v.row) {
		r.compute(given)
		v.within = true
		for i := range v.row {
			was := v.row[i].value
			v.row[i].value = given.join(columns[i].value).as(was)
			v.row[i].fails, v.row[i].terms = was.fails, was.terms
		}
	}
	return v
}

func joined(args []value) value {
	var v value
	for _, a := range args {
		a.fails = a.fails || v.collides(a)
		v = v.join(a)
	}
	return v.derive()
}

// obscure says that a function can return anything, and do anything with its
// arguments.
func (r *run) obscure(v *value, c Routine) {
	risk, ok := extensionRisks[c.Extension]
	if !ok {
		risk = RiskOpaqueFunction
	}
	r.risk(risk)
	r.use(*v, UseDerived)
	*v = v.obscured(r.viewing == 0)
}

// candidates is the functions of that name in the catalog, and whether the
// server has one of its own.
func (r *run) candidates(schema, name string) ([]Routine, bool) {
	var own []Routine
	if r.routines != nil {
		own = r.routines.Routines(r.searchPath, schema, name)
	}
	_, native := builtins()[name]
	return own, native && (schema == "" || schema == "pg_catalog")
}

func (r *run) function(name string) {
	switch {
	case r.viewing == 0 && r.inlining == 0:
		r.functions[name] = struct{}{}
	case !strings.HasPrefix(name, "pg_catalog."):
		r.beneath[name] = struct{}{}
	}
}

// native says what there is to say about one of the server's own functions.
func (r *run) native(name string, v *value) {
	d, ok := dangerOf(name)
	if !ok {
		return
	}
	r.risk(d.risks...)
	if d.keeps && r.ofUsers(*v) {
		r.risk(RiskValueEscape)
		r.use(*v, UseDerived)
	}
	if d.opaque {
		*v = v.obscured(r.viewing == 0)
	}
}

// ofUsers says whether a value may hold what is not of the server itself.
func (r *run) ofUsers(v value) bool {
	for _, n := range v.from {
		if r.refs.columns[n].Schema != "pg_catalog" {
			return true
		}
	}
	return v.opaque
}

// projection is f(row) where the row has a column f: the server takes it for
// row.f where no function of that name takes a row.
func projection(name, schema string, args []value) (value, bool) {
	if schema != "" || len(args) != 1 {
		return value{}, false
	}
	for _, f := range args[0].row {
		if f.name == name {
			return f.value, true
		}
	}
	return value{}, false
}

// pure says that what a function returns depends on its arguments alone. A C
// function that calls itself immutable is believed, and so are the extensions
// whose functions are known to read nothing.
func pure(c Routine) bool {
	if c.Schema == "information_schema" { // comes with the server
		return true
	}
	switch c.Extension {
	case "":
		if c.Kind == "a" { // an aggregate calls itself internal and immutable, whatever it calls
			return false
		}
	case "pgcrypto", "uuid-ossp", "pg_trgm", "hstore", "citext", "ltree", "unaccent", "fuzzystrmatch",
		"intarray", "cube", "earthdistance", "isn", "seg", "vector", "btree_gin", "btree_gist":
		return c.Language == "c" || c.Language == "internal" || c.Volatility == "i"
	}
	return (c.Language == "c" || c.Language == "internal") && c.Volatility == "i"
}
