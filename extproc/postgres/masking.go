package postgres

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// plan is what happens to the rows of one result.
type plan struct {
	cells   []mask.Cell // by column; nil passes
	classes []string    // that each column is counted under
	counts  []int       // values replaced, by column
	nulls   []bool      // whether NULL is replaced too, by column
	passes  bool        // no column is masked or looked through

	// Where texts are looked through:
	seek    []mask.Seeker // by column; nil passes
	found   mask.Found
	changed []bool // by column, of the row that was rewritten last
	scratch []byte
}

// room makes room for what concerns single columns.
func (p *plan) room(columns int) {
	if p.passes {
		p.passes = false
		p.cells, p.classes = make([]mask.Cell, columns), make([]string, columns)
		p.counts, p.nulls = make([]int, columns), make([]bool, columns)
	}
}

// look has a column looked through.
func (p *plan) look(column, columns int, seek mask.Seeker) {
	if seek == nil {
		return
	}
	p.room(columns)
	if p.seek == nil {
		p.seek, p.changed = make([]mask.Seeker, columns), make([]bool, columns)
	}
	p.seek[column] = seek
}

// activeMasks are those of a decision that can concern this target at all. A
// mask of a class concerns no target of which nothing is classified.
func activeMasks(masks []gate.Mask, class Classification, target string) []gate.Mask {
	if len(masks) == 0 {
		return nil
	}
	classified := class.Classified(target)
	inactive := func(m gate.Mask) bool { return m.Column == "" && (m.Class == "" || !classified) }
	if !slices.ContainsFunc(masks, inactive) { // nearly always: nothing to copy
		return masks
	}
	return slices.DeleteFunc(slices.Clone(masks), inactive)
}

// nameOf is a column as masks name it.
func nameOf(c sqlmeta.ColumnRef) string { return c.Schema + "." + c.Table + "." + c.Column }

// touches says whether a statement uses what is masked, in any way.
func touches(masks []gate.Mask, sh *shape) bool {
	for i := range sh.sql.Columns {
		c := &sh.sql.Columns[i]
		for m := range masks {
			if sh.hides(&masks[m], sqlmeta.ColumnRef{Schema: c.Schema, Table: c.Table, Column: c.Name}, c.Classes) {
				return true
			}
		}
	}
	return false
}

// unmasked are the classes that a statement delivers and no mask hides.
func unmasked(masks []gate.Mask, sh *shape) []string {
	if len(masks) == 0 {
		return sh.classes
	}
	var given []string
	for _, class := range sh.classes {
		if !slices.ContainsFunc(masks, func(m gate.Mask) bool { return m.Class == class }) {
			given = append(given, class)
		}
	}
	return given
}

// plan makes the plan for the rows that a description announces. The analysis
// and the server must agree on every column, or nothing is delivered.
func (s *session) plan(op *operation, frame []byte) {
	if op == nil || len(op.masks) == 0 {
		return
	}
	if op.plan = s.out.passing.of(op, frame); op.plan != nil {
		return
	}
	var d pgproto3.RowDescription
	if err := d.Decode(frame[headerLen:]); err != nil {
		s.disagree(op)
		return
	}
	r, known := op.result()
	if !known || r.opaque || len(r.outputs) != len(d.Fields) {
		s.disagree(op)
		return
	}
	p := &plan{passes: true}
	for i := range d.Fields {
		m, class, ok := s.maskOf(op, &d.Fields[i], &r.outputs[i])
		if !ok {
			s.disagree(op)
			return
		}
		if m == nil {
			if op.passages != nil {
				p.look(i, len(d.Fields), op.passages.Seeker(d.Fields[i].DataTypeOID, d.Fields[i].Format == pgproto3.BinaryFormat))
			}
			continue
		}
		p.room(len(d.Fields))
		cell, err := s.deps.Masker.Cell(*m, d.Fields[i].DataTypeOID, d.Fields[i].Format == pgproto3.BinaryFormat, typesOf(op.shape.catalog))
		if err != nil {
			s.deps.Log.Error("a mask of the policy cannot work", "target", s.cfg.Target.Name, "class", class, "err", err)
			s.interrupt(op, unusableMask(op))
			return
		}
		p.cells[i], p.classes[i], p.nulls[i] = cell, class, m.HidesNull(d.Fields[i].DataTypeOID)
	}
	op.plan = p
	s.out.passing.note(op, frame)
}

// passing is the last result of the session of which no column is masked. That one
// like it passes too follows from these alone: what the text is known to deliver,
// under its catalog and classification, what the server announced, and the masks.
type passing struct {
	plan      *plan
	shape     *shape
	statement int
	masks     []gate.Mask
	frame     []byte
}

// longestPassing bounds the description that is remembered, in bytes.
const longestPassing = 4 << 10

func (p *passing) of(op *operation, frame []byte) *plan {
	if p.plan == nil || p.shape != op.shape || p.statement != op.statement || !bytes.Equal(p.frame, frame) || !slices.Equal(p.masks, op.masks) {
		return nil
	}
	return p.plan
}

func (p *passing) note(op *operation, frame []byte) {
	if op.plan.passes && len(frame) <= longestPassing {
		*p = passing{op.plan, op.shape, op.statement, op.masks, append(p.frame[:0], frame...)}
	}
}

// disagree withholds the rows of an operation of which it is not certain what they
// hold. The catalog may be too old, so it is read again before the next statement.
func (s *session) disagree(op *operation) {
	s.mu.Lock()
	s.catalogStale = true
	s.mu.Unlock()
	s.interrupt(op, failed(codeInsufficient, "the rows are not delivered: the source of a column could not be confirmed, and columns of this target are masked (lineage)").
		withHint("Select columns of tables by name.").of(&op.decision))
}

// maskOf finds the mask of one column, nil for none. It is not ok where the server
// and the analysis do not agree where the column comes from.
func (s *session) maskOf(op *operation, f *pgproto3.FieldDescription, o *sqlmeta.Output) (*mask.Spec, string, bool) {
	if o.Opaque {
		return nil, "", false
	}
	sources, direct := o.Sources, o.Direct
	agree := f.TableOID == o.Relation && int16(f.TableAttributeNumber) == o.Column
	if f.TableOID != 0 {
		ref, ok := columnOf(op.shape.catalog, f.TableOID, int16(f.TableAttributeNumber))
		if !ok {
			return nil, "", false
		}
		switch known := slices.Contains(sources, ref); {
		case !agree && o.Relation == 0 && known:
			// A cast to the type that the column has: an expression to the
			// analysis, the column itself to the server.
			agree, direct = true, direct || len(sources) == 1
		case !known:
			sources = append(slices.Clone(sources), ref)
		}
	}
	if !agree {
		return nil, "", false
	}
	spec, label := s.maskFor(op, sources, direct)
	return spec, label, true
}

// maskFor finds the mask of what comes from these columns, nil for none. Of a column's
// documents only parts may be hidden, as long as they are delivered as they are.
func (s *session) maskFor(op *operation, sources []sqlmeta.ColumnRef, direct bool) (*mask.Spec, string) {
	var best gate.MaskSpec
	var within hiddenPaths
	label := ""
	for _, ref := range sources {
		classes := op.shape.classesOf(ref)
		if direct {
			classes = op.shape.within(ref, func(paths map[string][]string) { within.add(op.masks, paths) })
		}
		for i := range op.masks {
			m := &op.masks[i]
			switch {
			case !op.shape.hides(m, ref, classes):
				continue
			case label == "":
				best = m.MaskSpec
			default:
				best = best.Stricter(m.MaskSpec)
			}
			if label = m.Class; label == "" {
				label = nameOf(ref)
			}
		}
	}
	switch {
	case label == "":
		return within.spec()
	case !direct && best.Derived == gate.DerivedAllow:
		return nil, ""
	case !direct: // part of a value may show in what is derived from it, NULL or not too
		spec := mask.Derived()
		return &spec, label
	}
	spec := specOf(best)
	return &spec, label
}

// typesOf are the types that a catalog knows, nil for one that knows none.
func typesOf(c sqlmeta.Catalog) mask.Types {
	types, _ := c.(mask.Types)
	return types
}

// columnOf names the column that the server described by number. System columns
// (below 1) have no classes, but their relation must be known.
func columnOf(c sqlmeta.Catalog, oid uint32, num int16) (sqlmeta.ColumnRef, bool) {
	rel, ok := c.RelationByOID(oid)
	if !ok {
		return sqlmeta.ColumnRef{}, false
	}
	ref := sqlmeta.ColumnRef{Schema: rel.Schema, Table: rel.Name}
	if num < 1 {
		return ref, true
	}
	for i := range rel.Columns {
		if rel.Columns[i].Num == num {
			ref.Column = rel.Columns[i].Name
			return ref, true
		}
	}
	return ref, false
}
