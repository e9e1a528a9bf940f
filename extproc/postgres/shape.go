package postgres

import (
	"slices"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// shape is a text in the words of the gate, with what the masks need to know of
// it. It is shared: never change it.
type shape struct {
	action      string
	fingerprint string
	risks       []string
	sql         gate.SQL // without parameters
	results     []result // one for each statement
	classes     []string // of what is delivered, as it is or derived
	flows       []flow   // which columns are written from which others
	catalog     sqlmeta.Catalog
	opaque      bool               // a part of what is delivered could not be traced
	unfound     bool               // it executes a prepared statement that was not found
	unknown     bool               // it touches a relation that the catalog does not have
	obscure     []sqlmeta.TableUse // those that it reads
	names       sqlmeta.Names      // that it rests on, but for those of the server's own relations
	derived     bool               // it delivers or writes what the server does not say the source of
	foreign     bool               // it calls functions that are not the server's own
	sought      bool               // it uses operators or casts, which users may have some of
	beneath     bool               // its views call such functions
	code        bool               // the server runs code of users' for it, unnamed
	copies      bool               // COPY, which changes what messages mean
	ddl         bool
	settings    bool // it may change what names and texts mean from now on
	named       bool // it is about names of the session: not for others
	unsure      bool // it is not certain where its names lead
	// command is the replication command that the text is, nil for SQL.
	command *command

	class    Classification
	target   string
	former   map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef // other names that columns have had
	analysis *sqlmeta.Analysis
	weight   int      // bytes, about, once it is kept
	text     string   // that was analysed; "" where it is a part of one
	path     []string // the search path that it was analysed under
}

// result is what is known of the rows of one statement.
type result struct {
	outputs []sqlmeta.Output
	opaque  bool
	copy    *sqlmeta.CopyOut // of COPY TO STDOUT, where its options are understood
}

// shapeOf puts an analysis into the words of the gate. resolve finds what a
// prepared statement or a cursor of the session stands for.
func shapeOf(target string, an *sqlmeta.Analysis, class Classification, catalog sqlmeta.Catalog, resolve resolver) (*shape, error) {
	b := shapeBuilder{shape: &shape{
		risks: []string{}, class: class, target: target, analysis: an, catalog: catalog, former: formerOf(catalog),
		sql: gate.SQL{Statements: []gate.Statement{}, Tables: []gate.Table{}, Columns: []gate.Column{}, Functions: []string{}},
	}}
	for i := range an.Statements {
		st := &an.Statements[i]
		b.begin(st)
		b.use(st)
		b.rest(st)
		if st.Prepare == nil {
			b.deliver(result{st.Outputs, st.Opaque || b.after && deliversRows(st), st.CopyOut})
		} else if err := b.prepared(an.Statements[:i+1], resolve); err != nil {
			return nil, err
		}
		b.after = b.after || b.ddl || b.code || b.beneath
		b.unsure = b.settings // a statement of this text may have changed what names mean
	}
	b.settle()
	return b.shape, nil
}

// resolver finds the shape that the last of some statements, an EXECUTE or FETCH,
// runs; nil is unknown. Those before it stand in the same text.
type resolver func(text []sqlmeta.Statement) (*shape, error)

type shapeBuilder struct {
	*shape
	unsure bool // it is not certain what names mean, because of a statement before
	after  bool // nor what is behind them
}

func (b *shapeBuilder) begin(st *sqlmeta.Statement) {
	b.sql.Statements = append(b.sql.Statements, gate.Statement{Action: st.Action, Text: st.Text})
	if b.unsure && len(st.Tables)+len(st.Functions) > 0 {
		b.risk(sqlmeta.RiskAfterChange)
	}
	b.shape.unsure = b.shape.unsure || b.unsure || b.after
	if b.after && (returnsRows(st) || len(st.Flows) > 0) {
		b.risk(sqlmeta.RiskAfterChange)
	}
	switch st.Action {
	case sqlmeta.ActionCopy, sqlmeta.ActionUnknown:
		b.copies = true
	case sqlmeta.ActionDDL:
		b.ddl = true
	}
	if slices.Contains(st.Risks, sqlmeta.RiskTwoPhase) { // it may end with others' changes
		b.ddl = true
	}
	if changesSettings(st) {
		b.settings = true
	}
}

// settingActions and settingRisks mark the statements that may change the search
// path, the role, or how text is read.
var (
	settingActions = []string{
		sqlmeta.ActionDiscard, sqlmeta.ActionDo, sqlmeta.ActionCall, sqlmeta.ActionLoad, sqlmeta.ActionUnknown,
	}
	settingRisks = []string{
		sqlmeta.RiskSearchPath, sqlmeta.RiskSetRole, sqlmeta.RiskParserSettings, sqlmeta.RiskDynamicSQL, sqlmeta.RiskOpaqueFunction,
		sqlmeta.RiskUnknownFunction,
	}
)

func changesSettings(st *sqlmeta.Statement) bool {
	return slices.Contains(settingActions, st.Action) ||
		slices.ContainsFunc(st.Risks, func(r string) bool { return slices.Contains(settingRisks, r) })
}

// use adds what a statement reads, writes and calls.
func (b *shapeBuilder) use(st *sqlmeta.Statement) {
	for _, t := range st.Tables {
		table := gate.Table{Schema: t.Schema, Name: t.Name, Access: string(t.Access)}
		if !slices.Contains(b.sql.Tables, table) {
			b.sql.Tables = append(b.sql.Tables, table)
		}
		b.unknown = b.unknown || !t.Known
		if !t.Known && t.Access == sqlmeta.Read {
			b.obscure = append(b.obscure, t)
		}
	}
	for _, c := range st.Columns {
		b.column(c)
	}
	b.flow(st)
	for _, f := range st.Functions {
		if !slices.Contains(b.sql.Functions, f) {
			b.sql.Functions = append(b.sql.Functions, f)
		}
	}
	for _, name := range st.Settings {
		if !slices.Contains(b.sql.Settings, name) {
			b.sql.Settings = append(b.sql.Settings, name)
		}
	}
	for _, r := range st.Risks {
		if r != sqlmeta.RiskOpaque || st.Prepare == nil { // what a name stands for, the session may know
			b.risk(r)
		}
	}
}

func (b *shapeBuilder) column(c sqlmeta.ColumnUse) {
	same := func(have gate.Column) bool {
		return have.Name == c.Column && have.Table == c.Table && have.Schema == c.Schema && have.Use == string(c.Use)
	}
	if slices.ContainsFunc(b.sql.Columns, same) {
		return
	}
	classes := b.classesOf(c.ColumnRef)
	if classes == nil {
		classes = []string{}
	}
	b.sql.Columns = append(b.sql.Columns, gate.Column{
		Schema: c.Schema, Table: c.Table, Name: c.Column, Classes: classes, Use: string(c.Use),
		Paths: b.pathsOf(c.ColumnRef, classes),
	})
	if c.Use == sqlmeta.UseOutput || c.Use == sqlmeta.UseDerived {
		b.give(classes)
	}
}

// deliver adds the rows of a statement.
func (b *shapeBuilder) deliver(r result) {
	if b.unsure && !r.opaque {
		r.opaque = true
		b.risk(sqlmeta.RiskAfterChange)
	}
	b.results = append(b.results, r)
	b.opaque = b.opaque || r.opaque
}

func (b *shapeBuilder) give(classes []string) {
	for _, c := range classes {
		if !slices.Contains(b.classes, c) {
			b.classes = append(b.classes, c)
		}
	}
}

func (b *shapeBuilder) risk(r string) {
	if !slices.Contains(b.risks, r) {
		b.risks = append(b.risks, r)
	}
}

// prepared adds what a statement about a prepared statement or cursor stands
// for: the last of a text so far.
func (b *shapeBuilder) prepared(text []sqlmeta.Statement, resolve resolver) error {
	b.named = true
	p := text[len(text)-1].Prepare
	if p.Kind != sqlmeta.PrepareExecute && p.Kind != sqlmeta.PrepareFetch {
		b.results = append(b.results, result{})
		if p.Inner != nil {
			b.use(p.Inner)
			b.opaque = b.opaque || p.Inner.Opaque
			if p.Kind == sqlmeta.PrepareDeclare { // what is fetched from it later is confirmed now
				b.rest(p.Inner)
			}
		}
		return nil
	}
	inner, err := resolve(text)
	if err != nil {
		return err
	}
	explained := text[len(text)-1].Outputs != nil // EXPLAIN EXECUTE delivers a plan
	switch {
	case inner == nil || len(inner.results) != 1:
		b.unfound = b.unfound || p.Kind == sqlmeta.PrepareExecute
		b.risk(sqlmeta.RiskUntraced)
		b.deliver(result{opaque: true})
	case explained:
		b.merge(inner)
		b.deliver(result{outputs: text[len(text)-1].Outputs})
	default:
		b.merge(inner)
		b.deliver(inner.results[0])
		if p.Kind == sqlmeta.PrepareExecute {
			b.names.Relations = append(b.names.Relations, inner.names.Relations...)
			b.names.Functions = append(b.names.Functions, inner.names.Functions...)
			b.derived, b.foreign = b.derived || inner.derived, b.foreign || inner.foreign
		}
	}
	return nil
}

func (b *shapeBuilder) merge(inner *shape) {
	b.flows = append(b.flows, inner.flows...)
	for _, t := range inner.sql.Tables {
		if !slices.Contains(b.sql.Tables, t) {
			b.sql.Tables = append(b.sql.Tables, t)
		}
	}
	b.sql.Columns = append(b.sql.Columns, inner.sql.Columns...)
	for _, f := range inner.sql.Functions {
		if !slices.Contains(b.sql.Functions, f) {
			b.sql.Functions = append(b.sql.Functions, f)
		}
	}
	for _, name := range inner.sql.Settings {
		if !slices.Contains(b.sql.Settings, name) {
			b.sql.Settings = append(b.sql.Settings, name)
		}
	}
	for _, r := range inner.risks {
		b.risk(r)
	}
	b.give(inner.classes)
	b.beneath = b.beneath || inner.beneath
	b.code, b.sought = b.code || inner.code, b.sought || inner.sought
	b.opaque = b.opaque || inner.opaque
	b.unknown = b.unknown || inner.unknown
	b.obscure = append(b.obscure, inner.obscure...)
	b.ddl = b.ddl || inner.ddl
	b.unfound = b.unfound || inner.unfound
	b.settings = b.settings || inner.settings
}

// settle says in one word what the whole does: the action that all statements
// have in common, or "multi".
func (b *shapeBuilder) settle() {
	for i, st := range b.sql.Statements {
		switch {
		case i == 0:
			b.action = st.Action
		case b.action != st.Action:
			b.action = "multi"
		}
	}
	if len(b.analysis.Statements) > 0 {
		b.fingerprint = b.analysis.Statements[0].Fingerprint
	}
	if b.opaque {
		b.risk(sqlmeta.RiskOpaque)
	}
}

// empty says that a text holds no statement at all.
func (s *shape) empty() bool { return len(s.sql.Statements) == 0 }
