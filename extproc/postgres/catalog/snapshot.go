package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Snapshot is what a database held at one moment. It implements
// sqlmeta.Catalog, sqlmeta.Revisioned, sqlmeta.Routines and
// sqlmeta.Functions, and mask.Types.
type Snapshot struct {
	revision   string
	base       string   // of what a transaction sees: the revision that it stands on
	user       string   // what "$user" in a search path stands for
	searchPath []string // that a session starts with

	byName    map[name]*sqlmeta.Relation
	byOID     map[uint32]*sqlmeta.Relation
	byType    map[uint32]*sqlmeta.Relation
	routines  map[name][]sqlmeta.Routine
	functions map[uint32]sqlmeta.Function
	types     map[uint32]mask.Type
	former    map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef // nil: none that is known
}

type name struct{ schema, name string }

// Revision names the content: it changes only with it.
func (s *Snapshot) Revision() string { return s.revision }

// Relation finds a relation by name. Without a schema it looks along the search
// path, in pg_catalog first where the path does not list it. What is in pg_temp
// is not known.
func (s *Snapshot) Relation(searchPath []string, schema, relation string) (*sqlmeta.Relation, bool) {
	if schema != "" {
		r, ok := s.byName[name{schema, relation}]
		return r, ok
	}
	if !slices.Contains(searchPath, "pg_catalog") {
		if r, ok := s.byName[name{"pg_catalog", relation}]; ok {
			return r, true
		}
	}
	for _, schema := range searchPath {
		if schema == "$user" {
			schema = s.user
		}
		if r, ok := s.byName[name{schema, relation}]; ok {
			return r, true
		}
	}
	return nil, false
}

// RelationByOID finds a relation by pg_class.oid.
func (s *Snapshot) RelationByOID(oid uint32) (*sqlmeta.Relation, bool) {
	r, ok := s.byOID[oid]
	return r, ok
}

// RelationByType finds a relation by pg_class.reltype.
func (s *Snapshot) RelationByType(oid uint32) (*sqlmeta.Relation, bool) {
	r, ok := s.byType[oid]
	return r, ok
}

// Routines returns the functions of that name: of a schema, or of all schemas of
// the search path, since the types of the arguments decide which is called. Of
// the server's own it has those that return rows.
func (s *Snapshot) Routines(searchPath []string, schema, routine string) []sqlmeta.Routine {
	if schema != "" {
		return s.routines[name{schema, routine}]
	}
	out := s.routines[name{"pg_catalog", routine}]
	for _, schema := range searchPath {
		if schema == "$user" {
			schema = s.user
		}
		if schema == "pg_catalog" {
			continue
		}
		if more := s.routines[name{schema, routine}]; len(more) > 0 {
			out = append(out[:len(out):len(out)], more...)
		}
	}
	return out
}

// Function finds any function by pg_proc.oid, the server's own too.
func (s *Snapshot) Function(oid uint32) (sqlmeta.Function, bool) {
	f, ok := s.functions[oid]
	return f, ok
}

// Type is what a type is made of: a row type of the columns of its relation.
func (s *Snapshot) Type(oid uint32) (mask.Type, bool) {
	if t, ok := s.types[oid]; ok {
		return t, true
	}
	r, ok := s.byType[oid]
	if !ok {
		return mask.Type{}, false
	}
	t := mask.Type{Kind: mask.Composite, Fields: make([]uint32, len(r.Columns))}
	for i := range r.Columns {
		t.Fields[i] = r.Columns[i].TypeOID
	}
	return t, true
}

// builder puts a snapshot together from rows in a fixed order, and names it by
// the hash of all that went in.
type builder struct {
	snapshot  *Snapshot
	relations []*sqlmeta.Relation
	strings   map[string]string
	types     map[string][]uint32
	users     map[string]bool     // names of routines that users have made, in a language that is looked into
	reaches   map[uint32][]uint32 // which tables are written because another is

	facts map[string]*sqlmeta.Facts // by signature or name

	incomplete bool // a definition could not be read
	hash       interface{ Write([]byte) (int, error) }
	sum        func() []byte
}

func newBuilder(facts map[string]*sqlmeta.Facts) *builder {
	h := sha256.New()
	return &builder{
		facts: facts,
		snapshot: &Snapshot{
			byName: map[name]*sqlmeta.Relation{}, byOID: map[uint32]*sqlmeta.Relation{},
			byType: map[uint32]*sqlmeta.Relation{}, routines: map[name][]sqlmeta.Routine{},
			functions: map[uint32]sqlmeta.Function{}, types: map[uint32]mask.Type{},
		},
		strings: map[string]string{},
		types:   map[string][]uint32{},
		users:   map[string]bool{},
		reaches: map[uint32][]uint32{},
		hash:    h,
		sum:     func() []byte { return h.Sum(nil) },
	}
}

// one keeps equal strings once: a database has thousands of columns named id.
func (b *builder) one(s string) string {
	if known, ok := b.strings[s]; ok {
		return known
	}
	b.strings[s] = s
	return s
}

func (b *builder) note(parts ...any) {
	for _, p := range parts {
		fmt.Fprintf(b.hash, "%v\x00", p) //nolint:errcheck // a hash takes everything
	}
}

func (b *builder) relation(r sqlmeta.Relation, rowType uint32) {
	r.Schema, r.Name, r.Kind = b.one(r.Schema), b.one(r.Name), b.one(r.Kind)
	b.note("relation", r.OID, r.Schema, r.Name, r.Kind, rowType)
	kept := &r
	b.relations = append(b.relations, kept)
	b.snapshot.byOID[r.OID] = kept
	b.snapshot.byName[name{r.Schema, r.Name}] = kept
	if rowType != 0 {
		b.snapshot.byType[rowType] = kept
	}
}

func (b *builder) column(relation uint32, c sqlmeta.RelationColumn) {
	c.Name = b.one(c.Name)
	b.note("column", relation, c.Name, c.Num, c.TypeOID, c.TypeMod)
	if r := b.snapshot.byOID[relation]; r != nil {
		r.Columns = append(r.Columns, c)
	}
}

// define gives a view its definition, or with a column number a generated column
// its expression.
func (b *builder) define(relation uint32, column int16, text string) {
	b.note("definition", relation, column, text)
	r := b.snapshot.byOID[relation]
	if r == nil {
		return
	}
	if column == 0 {
		r.Definition = text
		return
	}
	for i := range r.Columns {
		if r.Columns[i].Num == column {
			r.Columns[i].Generated = text
		}
	}
}

// typ notes a type that is made of others, or an extension's. Only of the latter the
// name counts.
func (b *builder) typ(oid uint32, t mask.Type) {
	if t.Kind != mask.Named {
		t.Name = ""
	}
	b.note("type", oid, t.Kind, t.Of, t.Delim, t.Name)
	b.snapshot.types[oid] = t
}

func (b *builder) inherits(child, parent uint32) {
	b.note("inherits", child, parent)
	if r := b.snapshot.byOID[child]; r != nil {
		r.Parents = append(r.Parents, parent)
	}
	if r := b.snapshot.byOID[parent]; r != nil {
		r.Children = append(r.Children, child)
	}
}

// routineOf is routine with the names and types of what the function returns.
func (b *builder) routineOf(r sqlmeta.Routine, signature string, names []string, types []uint32) {
	r.Outputs = nil
	for i, n := range names {
		c := sqlmeta.RelationColumn{Name: b.one(n), Num: int16(i + 1)}
		if i < len(types) {
			c.TypeOID = types[i]
		}
		r.Outputs = append(r.Outputs, c)
	}
	b.routine(r, signature)
}

func (b *builder) routine(r sqlmeta.Routine, signature string) {
	r.Schema, r.Name = b.one(r.Schema), b.one(r.Name)
	r.Facts = b.facts[signature]
	if name, _, _ := strings.Cut(signature, "("); r.Facts == nil {
		r.Facts = b.facts[name]
	}
	b.note(r.Body, r.Parameters, r.Path, r.OwnPath, r.Defaults, r.Facts != nil)
	if r.Facts != nil {
		b.note(r.Facts.Reads)
	}
	b.note("routine", r.OID, r.Schema, r.Name, r.Kind, r.Language, r.Volatility, r.ReturnsSet, r.ReturnType, r.Extension)
	for _, o := range r.Outputs {
		b.note(o.Name, o.TypeOID)
	}
	if r.OID >= firstUsers && r.Language != "c" && r.Language != "internal" {
		b.users[r.Name] = true
	}
	k := name{r.Schema, r.Name}
	b.snapshot.routines[k] = append(b.snapshot.routines[k], r)
}

// body gives a function the body that the server has written down; nil where it was
// dropped meanwhile.
func (b *builder) body(oid uint32, text *string) {
	if text == nil || len(*text) > longestBody {
		return
	}
	b.note("body", oid, *text)
	f := b.snapshot.functions[oid]
	known := b.snapshot.routines[name{f.Schema, f.Name}]
	for i := range known {
		if known[i].OID == oid {
			known[i].Body, known[i].Qualified = *text, true
		}
	}
}

// function notes a function under its OID. Thousands share a few hundred lists of
// arguments, each of which is kept once.
func (b *builder) function(oid uint32, f sqlmeta.Function) {
	types := fmt.Sprint(f.Arguments)
	b.note("function", oid, f.Schema, f.Name, types)
	known, ok := b.types[types]
	if !ok {
		known = slices.Clone(f.Arguments)
		b.types[types] = known
	}
	f.Schema, f.Name, f.Arguments = b.one(f.Schema), b.one(f.Name), known
	b.snapshot.functions[oid] = f
}

func (b *builder) done() *Snapshot {
	b.spread()
	b.note("user", b.snapshot.user)
	b.snapshot.revision = hex.EncodeToString(b.sum()[:16])
	return b.snapshot
}
