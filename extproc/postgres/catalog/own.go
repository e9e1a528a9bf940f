package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What a transaction has done to the catalog only its own session sees before it ends. So
// the session is asked, within that transaction: first whether it has written to the
// catalog at all, which the server counts, and where it has, for what users have made.

// changed are the tables of the catalog that an analysis rests on (pg_class.oid, the same
// on every server).
var changed = []uint32{
	2615, // pg_namespace
	1259, // pg_class
	1249, // pg_attribute
	2604, // pg_attrdef
	2611, // pg_inherits
	2618, // pg_rewrite
	1255, // pg_proc
	2617, // pg_operator
	2605, // pg_cast
	1247, // pg_type
	2620, // pg_trigger
	2606, // pg_constraint
	3256, // pg_policy
	2610, // pg_index
	3079, // pg_extension
}

// countable is what the text below begins with where its counts can be relied upon: a
// transaction that looks at the catalog as its names do, and a server that counts.
const countable = "read committed on"

// written asks how often the session has written to the catalog (monitoring statistics,
// pg_stat_get_xact_…): it reads no table, and means the same whatever the search path is.
var written = func() string {
	var b strings.Builder
	b.WriteString("SELECT pg_catalog.concat_ws(' ', pg_catalog.current_setting('transaction_isolation'), pg_catalog.current_setting('track_counts')")
	for _, oid := range changed {
		for _, what := range []string{"inserted", "updated", "deleted"} {
			fmt.Fprintf(&b, ", pg_catalog.pg_stat_get_xact_tuples_%s(%d)", what, oid)
		}
	}
	b.WriteString(")")
	return b.String()
}()

// Written is a text that asks a session's server how often the session has written to the
// catalog.
func (c *Catalog) Written() string { return written }

// WrittenNothing says of the answer that nothing was written, and certain
// whether that, and what Own reads, can be relied upon.
func (c *Catalog) WrittenNothing(answer string) (nothing, certain bool) {
	counts, certain := strings.CutPrefix(answer, countable+" ")
	return certain && strings.Trim(counts, "0 ") == "", certain
}

// ready are the texts that make ready for the questions: names are then found in pg_catalog alone,
// and no definition is waited for. They are for a subtransaction that is rolled back.
var ready = []string{
	"SET LOCAL search_path = pg_catalog, pg_temp",
	fmt.Sprintf("SET LOCAL lock_timeout = %d", lockTimeout.Milliseconds()),
}

// ownParts are what is read of the catalog: the same as at a look, but for what came with the
// server, which no transaction changes.
var ownParts = []struct {
	query   string
	columns int
	where   string
	add     func(b *builder, row []json.RawMessage) error
}{
	{relations, 5, "c1 >= 16384", func(b *builder, row []json.RawMessage) error {
		var r sqlmeta.Relation
		var rowType uint32
		err := scan(row, &r.OID, &r.Schema, &r.Name, &r.Kind, &rowType)
		b.relation(r, rowType)
		return err
	}},
	{columns, 5, "c1 >= 16384", func(b *builder, row []json.RawMessage) error {
		var of uint32
		var c sqlmeta.RelationColumn
		err := scan(row, &of, &c.Name, &c.Num, &c.TypeOID, &c.TypeMod)
		b.column(of, c)
		return err
	}},
	{inheritance, 2, "true", func(b *builder, row []json.RawMessage) error {
		var child, parent uint32
		err := scan(row, &child, &parent)
		b.inherits(child, parent)
		return err
	}},
	{types, 5, "c1 >= 16384", func(b *builder, row []json.RawMessage) error {
		var oid uint32
		var t mask.Type
		var kind, delim string
		if err := scan(row, &oid, &t.Name, &kind, &t.Of, &delim); err != nil {
			return err
		}
		t.Kind, t.Delim = kinds[kind], delim[0]
		b.typ(oid, t)
		return nil
	}},
	{routines, 17, "c1 >= 16384", addRoutine},
	{operators, 17, "true", addRoutine},
	{functions, 4, "c1 >= 16384", func(b *builder, row []json.RawMessage) error {
		var oid uint32
		var f sqlmeta.Function
		err := scan(row, &oid, &f.Schema, &f.Name, &f.Arguments)
		b.function(oid, f)
		return err
	}},
	{coded, 3, "true", func(b *builder, row []json.RawMessage) error {
		var c code
		err := scan(row, &c.relation, &c.language, &c.source)
		b.code(c)
		return err
	}},
	{cascades, 2, "true", func(b *builder, row []json.RawMessage) error {
		var from, to uint32
		err := scan(row, &from, &to)
		b.cascade(from, to)
		return err
	}},
	{bodies, 2, "true", addBody},
	{strings.ReplaceAll(definitions, "$1", "0"), 3, "true", func(b *builder, row []json.RawMessage) error {
		d := definition{}
		text := new(string)
		err := scan(row, &d.relation, &d.column, &text)
		if d.text = unreadable; text != nil {
			d.text = *text
		}
		b.define(d.relation, d.column, d.text)
		return err
	}},
}

func addBody(b *builder, row []json.RawMessage) error {
	var oid uint32
	var text *string
	err := scan(row, &oid, &text)
	b.body(oid, text)
	return err
}

func addRoutine(b *builder, row []json.RawMessage) error {
	var r sqlmeta.Routine
	var names, config []string
	var types []uint32
	var signature string
	var definer bool
	err := scan(row, &r.OID, &r.Schema, &r.Name, &r.Kind, &r.Language, &r.Volatility, &r.ReturnsSet, &r.ReturnType, &r.Extension,
		&signature, &r.Body, &r.Defaults, &config, &definer, &r.Parameters, &names, &types)
	b.routineOf(lookedInto(r, config, definer), signature, names, types)
	return err
}

// Own are the texts that ask a session for the catalog as its transaction sees it: what
// they set is to be rolled back.
func (c *Catalog) Own() []string { return ownTexts }

// ownTexts read what users have made. Each row of an answer has one column,
// of bytes: JSON in UTF-8, whatever the session's encoding is.
var ownTexts = func() []string {
	texts := slices.Clone(ready)
	for i, p := range ownParts {
		var names []string
		for n := range p.columns {
			names = append(names, fmt.Sprintf("c%d", n+1))
		}
		list := strings.Join(names, ", ")
		texts = append(texts, fmt.Sprintf("SELECT convert_to(json_build_array(%d, %s)::text, 'UTF8') FROM (%s) AS q (%s) WHERE %s", i, list, p.query, list, p.where))
	}
	return texts
}()

// Within is the catalog as a transaction sees it that has changed it, from the answers to
// those texts. base is a snapshot from before they were asked for: what it says of names must hold
// (Holds) where the result is relied upon.
func (c *Catalog) Within(base sqlmeta.Catalog, answers []string) (sqlmeta.Catalog, error) {
	from, ok := sqlmeta.Unshadowed(base).(*Snapshot)
	if !ok {
		return nil, errors.New("a transaction's catalog stands on another")
	}
	b := newBuilder(c.cfg.Functions)
	b.snapshot.user, b.snapshot.searchPath = from.user, from.searchPath
	b.begin(from)
	for _, answer := range answers {
		var row []json.RawMessage
		var part int
		if err := json.Unmarshal([]byte(answer), &row); err != nil {
			return nil, fmt.Errorf("reading a transaction's catalog: %w", err)
		}
		if len(row) == 0 || scan(row[:1], &part) != nil || part < 0 || part >= len(ownParts) || len(row) != ownParts[part].columns+1 {
			return nil, errors.New("reading a transaction's catalog: no row of it")
		}
		if err := ownParts[part].add(b, row[1:]); err != nil {
			return nil, fmt.Errorf("reading a transaction's catalog: %w", err)
		}
	}
	b.note("within", from.revision)
	s := b.done()
	s.follow(from)
	s.base = from.revision
	return s, nil
}

// scan reads a row. An oid is a string in JSON, unlike other numbers.
func scan(row []json.RawMessage, into ...any) error {
	for i, v := range row {
		if oids(into[i]) {
			v = bytes.ReplaceAll(v, []byte(`"`), nil)
		}
		if err := json.Unmarshal(v, into[i]); err != nil {
			return err
		}
	}
	return nil
}

func oids(into any) bool {
	switch into.(type) {
	case *uint32, *[]uint32:
		return true
	}
	return false
}

// begin puts in what came with the server.
func (b *builder) begin(from *Snapshot) {
	for _, r := range from.byOID {
		if r.OID < firstUsers {
			b.snapshot.byOID[r.OID] = r
			b.snapshot.byName[name{r.Schema, r.Name}] = r
		}
	}
	for t, r := range from.byType {
		if r.OID < firstUsers {
			b.snapshot.byType[t] = r
		}
	}
	for k, list := range from.routines {
		if strings.HasPrefix(k.name, "operator ") || strings.HasPrefix(k.name, "cast ") {
			continue
		}
		for _, r := range list {
			if r.OID < firstUsers {
				b.snapshot.routines[k] = append(b.snapshot.routines[k], r)
			}
		}
	}
	for oid, t := range from.types {
		if oid < firstUsers {
			b.snapshot.types[oid] = t
		}
	}
	for oid, f := range from.functions {
		if oid < firstUsers {
			b.snapshot.functions[oid] = f
		}
	}
}
