package sqlmeta

import (
	"errors"
	"maps"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

const (
	// maxWork bounds the steps that one text may take: a step is a node of the
	// parse tree looked at, or a column put into a result.
	maxWork = 2_000_000
	// statementWork is what every statement takes beside.
	statementWork = 100
	// maxDepth bounds how deep a statement may nest.
	maxDepth = 2_000
	// maxColumns is the server's MaxTupleAttributeNumber: no row has more columns.
	maxColumns = 1_664
)

// errTooComplex ends an analysis that passed one of the bounds.
var errTooComplex = errors.New("too complex")

// run is the analysis of one statement: what is found is gathered in it.
type run struct {
	a          *Analyzer
	catalog    Catalog
	routines   Routines // nil where the catalog knows none
	searchPath []string

	refs      *refTable
	tables    map[TableUse]struct{}
	uses      map[use]struct{}
	functions map[string]struct{}
	beneath   map[string]struct{}
	sought    map[string]struct{}
	code      bool // a relation has code of users' behind it
	runs      bool // one that is written has, or may have
	throughs  bool // a view is written
	risks     map[string]struct{}
	settings  map[string]struct{}
	computed  map[int32]struct{} // columns that expressions are computed from, delivered or not
	flows     []flow
	modifies  string // the gravest of the actions of data-modifying WITH queries

	relations         map[uint32][]field // columns of relations already looked into
	text, fingerprint string

	names   map[any]string // of scalar subqueries, for the outputs that are named after them
	seeds   map[any]*cte   // the UNION that a recursive WITH query is
	viewing int            // how deep in definitions that are the database's own

	inlining   int         // how deep in bodies of functions
	params     *parameters // of the function whose body it is, nil outside of one
	aroundPath []string    // the search path that the server has there

	explaining  bool // nothing of the result is delivered
	work, depth int
}

type use struct {
	column int32
	use    Use
}

// flow is a Flow before its columns have names.
type flow struct{ to, from refs }

func newRun(a *Analyzer, c Catalog, searchPath []string) *run {
	r := &run{
		a: a, catalog: c, searchPath: searchPath, aroundPath: searchPath,
		refs:      newRefTable(),
		tables:    map[TableUse]struct{}{},
		uses:      map[use]struct{}{},
		functions: map[string]struct{}{},
		beneath:   map[string]struct{}{},
		sought:    map[string]struct{}{},
		settings:  map[string]struct{}{},
		risks:     map[string]struct{}{},
		computed:  map[int32]struct{}{},
	}
	r.routines, _ = c.(Routines)
	return r
}

// step counts one step, and ends the analysis where it has become too many.
func (r *run) step(n int) {
	if r.work += n; r.work > maxWork {
		panic(errTooComplex)
	}
}

// enter counts one level of nesting; leave it with r.leave().
func (r *run) enter() {
	r.step(1)
	if r.depth++; r.depth > maxDepth {
		panic(errTooComplex)
	}
}

func (r *run) leave() { r.depth-- }

func (r *run) risk(names ...string) {
	if r.viewing > 0 {
		return
	}
	for _, name := range names {
		r.risks[name] = struct{}{}
	}
}

func (r *run) use(v value, u Use) {
	r.step(len(v.from))
	if r.viewing > 0 {
		r.ownerUse(v, u)
		return
	}
	for _, n := range v.from {
		r.uses[use{n, u}] = struct{}{}
		if v.fails {
			r.uses[use{n, UseFallible}] = struct{}{}
		}
	}
}

// ownerUse notes what a definition filters by, but for those of the server's own.
func (r *run) ownerUse(v value, u Use) {
	if u != UseFilter && u != UseOrder && u != UseGroup {
		return
	}
	for _, n := range v.from {
		if r.refs.columns[n].Schema != "pg_catalog" {
			r.uses[use{n, UseOwnerFilter}] = struct{}{}
		}
	}
}

// compute notes that a value is computed: even where nothing comes of it, it can
// fail, and its failing tells of the columns. A column as such cannot.
func (r *run) compute(v value) {
	if r.viewing > 0 || v.direct || v.relation != 0 {
		return
	}
	r.step(len(v.from))
	for _, n := range v.from {
		r.computed[n] = struct{}{}
		if v.fails {
			r.uses[use{n, UseFallible}] = struct{}{}
		}
	}
}

func (r *run) table(t TableUse) {
	r.tables[t] = struct{}{}
	if t.Access == Write && t.Schema == "pg_catalog" && t.Name == "pg_settings" {
		r.setting("") // an UPDATE of this view is set_config
	}
}

// flow notes that a column is written from a value.
func (r *run) flow(to, from value) {
	r.use(to, UseWrite)
	r.use(from, UseDerived)
	if len(from.from) > 0 && len(to.from) > 0 {
		r.flows = append(r.flows, flow{to.from, from.from})
	}
}

// whole analyses a whole statement into s. What goes wrong in it is said, and is
// not an error.
func (r *run) whole(n *pg.Node, s *Statement) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		risk := RiskInternalError
		if err, ok := p.(error); ok && errors.Is(err, errTooComplex) {
			risk = RiskTooComplex
		}
		*s = unparsed(r.text, risk).Statements[0]
		s.Fingerprint = r.fingerprint
	}()
	r.step(statementWork)
	s.Text, s.Fingerprint = r.text, r.fingerprint
	r.statement(n, s)
	if s.Opaque {
		r.risk(RiskOpaque)
	}
	r.fill(s)
}

// writing are the actions that fire triggers.
var writing = []string{ActionInsert, ActionUpdate, ActionDelete, ActionMerge, ActionTruncate, ActionCopy}

// fill puts what was gathered into a statement.
func (r *run) fill(s *Statement) {
	if (r.runs || r.throughs && r.code) && (slices.Contains(writing, s.Action) || r.modifies != "") {
		r.risk(RiskTriggers)
	}
	used := make(map[int32]bool, len(r.uses))
	for u := range r.uses {
		used[u.column] = used[u.column] || u.use == UseDerived || u.use == UseFilter || u.use == UseOrder || u.use == UseGroup
	}
	for n := range r.computed {
		if !used[n] {
			r.uses[use{n, UseDerived}] = struct{}{}
		}
	}
	for u := range r.uses {
		c := r.refs.columns[u.column]
		s.Columns = append(s.Columns, ColumnUse{c, u.use})
		r.risk(columnRisks(c)...)
		if _, written := r.tables[TableUse{c.Schema, c.Table, Write, true}]; written && u.use != UseWrite {
			r.table(TableUse{c.Schema, c.Table, Read, true})
		}
	}
	slices.SortFunc(s.Columns, compareUses)
	s.Tables = slices.SortedFunc(maps.Keys(r.tables), compareTables)
	s.Functions = slices.Sorted(maps.Keys(r.functions))
	s.Beneath = slices.Sorted(maps.Keys(r.beneath))
	s.Sought, s.Code = slices.Sorted(maps.Keys(r.sought)), r.code
	s.Risks = slices.Sorted(maps.Keys(r.risks))
	s.Settings = slices.Sorted(maps.Keys(r.settings))
	for _, f := range r.flows {
		for _, to := range r.refs.names(f.to) {
			s.Flows = append(s.Flows, Flow{to, r.refs.names(f.from)})
		}
	}
}

// outputs makes the outputs of a statement of a rowset, and notes their use.
func (r *run) outputs(s *Statement, rows rowset) {
	if r.explaining {
		return
	}
	if rows.open || len(rows.columns) > maxColumns {
		s.Opaque = true
		all := rows.whole()
		r.use(all, UseDerived)
		if !rows.open || all.untold() {
			r.risk(RiskUntraced)
		}
		return
	}
	s.Outputs = make([]Output, 0, len(rows.columns))
	for _, c := range rows.columns {
		u := UseDerived
		if c.direct {
			u = UseOutput
		}
		r.use(c.value, u)
		s.Opaque = s.Opaque || c.opaque
		if c.untold() {
			r.risk(RiskUntraced)
		}
		s.Outputs = append(s.Outputs, Output{
			Name: c.name, Direct: c.direct, Sources: r.refs.names(c.from), Opaque: c.opaque,
			Relation: c.relation, Column: c.column,
		})
	}
}
