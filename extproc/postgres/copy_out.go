package postgres

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/extproc/postgres/copyout"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// COPY TO STDOUT has no row description. What is masked in it stands in the
// analysis alone, which so is confirmed when the server says that data comes.

// copyPlan is how the COPY data of one statement is masked.
type copyPlan struct {
	columns int
	binary  bool
	stream  *copyout.Stream // nil: no column is masked or looked through
	seek    bool            // some are looked through
	classes []string        // that each column is counted under
}

var copyKinds = map[string]copyout.Kind{"text": copyout.Text, "csv": copyout.CSV, "binary": copyout.Binary}

// planCopies plans what the COPY statements of an operation deliver, or says why
// that cannot be masked.
func (s *session) planCopies(op *operation) *problem {
	if !slices.Contains(op.shape.risks, sqlmeta.RiskCopyOut) {
		return nil
	}
	s.mu.Lock()
	unsure := s.catalogStale || s.settingsInTx
	utf8 := strings.EqualFold(s.params["client_encoding"], "UTF8")
	s.mu.Unlock()
	if unsure { // nobody else sees what this transaction has changed
		return copyMasked(op).withHint("COPY in a transaction that has changed neither schema nor settings.")
	}
	if !op.copiesMasked() && op.passages == nil {
		return nil
	}
	op.copies = make([]*copyPlan, len(op.shape.results))
	for i := range op.shape.analysis.Statements {
		if !slices.Contains(op.shape.analysis.Statements[i].Risks, sqlmeta.RiskCopyOut) {
			continue
		}
		r := &op.shape.results[i]
		if r.copy == nil || r.opaque || op.shape.unknown || !utf8 {
			return copyMasked(op)
		}
		var p *problem
		if op.copies[i], p = s.copyPlan(op, r); p != nil {
			return p
		}
	}
	return nil
}

func (s *session) copyPlan(op *operation, r *result) (*copyPlan, *problem) {
	n := len(r.outputs)
	p := &copyPlan{columns: n, binary: r.copy.Format == "binary", classes: make([]string, n)}
	cells := make([]mask.Cell, n)
	var seek []mask.Seeker
	masked := false
	for i := range r.outputs {
		o := &r.outputs[i]
		if o.Opaque {
			return nil, copyMasked(op)
		}
		spec, class := s.maskFor(op, o.Sources, o.Direct)
		oid, known := columnType(op.shape.catalog, o)
		if spec == nil {
			if op.passages != nil {
				if seek == nil {
					seek, p.seek = make([]mask.Seeker, n), true
				}
				seek[i] = op.passages.Seeker(oid, p.binary)
			}
			continue
		}
		if !known || !o.Direct {
			spec = &mask.Spec{With: mask.Null}
		}
		cell, err := s.deps.Masker.Cell(*spec, oid, p.binary, typesOf(op.shape.catalog))
		if err != nil {
			s.deps.Log.Error("a mask of the policy cannot work", "target", s.cfg.Target.Name, "class", class, "err", err)
			return nil, unusableMask(op)
		}
		cells[i], p.classes[i], masked = cell, class, true
	}
	if !masked && !p.seek {
		return p, nil
	}
	var err error
	p.stream, err = copyout.New(copyout.Format{
		Kind: copyKinds[r.copy.Format], Delimiter: r.copy.Delimiter, Null: r.copy.Null, Header: r.copy.Header,
		Quote: r.copy.Quote, Escape: r.copy.Escape, Quoted: alwaysQuoted(r),
	}, cells, seek, s.cfg.MaxMessage)
	if err != nil {
		return nil, copyMasked(op)
	}
	return p, nil
}

// alwaysQuoted are the columns that COPY puts into quotes whatever they hold.
func alwaysQuoted(r *result) []bool {
	quoted := make([]bool, len(r.outputs))
	for i := range r.outputs {
		quoted[i] = r.copy.QuoteAll || slices.Contains(r.copy.QuoteOf, r.outputs[i].Name)
	}
	return quoted
}

// columnType is the type of an output that is a column of a table.
func columnType(c sqlmeta.Catalog, o *sqlmeta.Output) (uint32, bool) {
	rel, ok := c.RelationByOID(o.Relation)
	if !ok || o.Relation == 0 {
		return 0, false
	}
	for i := range rel.Columns {
		if rel.Columns[i].Num == o.Column {
			return rel.Columns[i].TypeOID, true
		}
	}
	return 0, false
}

// beginCopy handles the announcement of COPY data to the client.
func (s *session) beginCopy(op *operation, frame []byte) {
	op.copyOut = true
	if r, ok := op.result(); ok && r.copy != nil && (r.copy.Header || r.copy.Format == "binary") {
		op.notRows = 1
	}
	if len(op.masks) == 0 {
		return
	}
	var plan *copyPlan
	if op.statement < len(op.copies) {
		plan = op.copies[op.statement]
	}
	switch {
	case (op.copiesMasked() || op.passages != nil) && plan == nil: // a text that was not understood was a COPY
		s.interrupt(op, copyMasked(op))
	case plan != nil && !plan.agrees(frame):
		s.disagree(op)
	case !s.confirm(op):
		s.cancelRunning()
	default:
		op.copy = plan
	}
}

// agrees says whether the server sends what the plan is for.
func (p *copyPlan) agrees(frame []byte) bool {
	c := body(frame)
	format := uint16(0)
	if p.binary {
		format = 1
	}
	ok := uint16(c.byte()) == format && int(c.uint16()) == p.columns
	for range p.columns {
		ok = ok && c.uint16() == format
	}
	return ok && c.end() == nil
}

// maskedCopy delivers a piece of COPY data with the fields that the plan hides
// replaced: in one message those rows that are whole with it.
func (s *session) maskedCopy(op *operation, size int) error {
	frame, err := s.takeMaskable(op, size)
	if frame == nil || err != nil {
		return err
	}
	d := &s.out
	d.gather()
	start, before := len(d.out), d.originalsSoFar()
	d.out = append(d.out, msgCopyData, 0, 0, 0, 0)
	if ok := s.appendCopy(op, frame[headerLen:]); !ok || op.metadata {
		d.originals = d.originals[:before]
	}
	if len(d.out) == start+headerLen { // no row is whole yet
		d.out = d.out[:start]
		op.bytes -= int64(size)
		return nil
	}
	binary.BigEndian.PutUint32(d.out[start+1:], uint32(len(d.out)-start-1))
	op.bytes += int64(len(d.out) - start - size) // what the client gets is what counts
	d.mark(op, true)
	d.markOriginals(op, before)
	return nil
}

// appendCopy adds the masked rows of a piece of COPY data to what is delivered, or
// breaks the operation off and adds nothing.
func (s *session) appendCopy(op *operation, data []byte) bool {
	d := &s.out
	start := len(d.out)
	var err error
	d.out, d.originals, err = op.copy.stream.Append(d.out, d.originals, data)
	if err == nil {
		return true
	}
	d.out = d.out[:start]
	if errors.Is(err, copyout.ErrRowSize) {
		s.interrupt(op, rowTooLarge(op, len(data), s.cfg.MaxMessage))
		return false
	}
	s.deps.Log.Warn("COPY data could not be masked", "target", s.cfg.Target.Name, "session", s.gate.ID, "err", err)
	s.disagree(op)
	return false
}

// endCopy says whether the data of a COPY is complete.
func (s *session) endCopy(op *operation) {
	if op.copy == nil || op.copy.stream == nil || op.problem.Load() != nil {
		return
	}
	if err := op.copy.stream.Close(); err != nil {
		s.deps.Log.Warn("COPY data could not be masked", "target", s.cfg.Target.Name, "session", s.gate.ID, "err", err)
		s.disagree(op)
	}
}

func rowTooLarge(op *operation, size, limit int) *problem {
	return failed(codeLimitExceeded, "a row of %d bytes is too large to be masked; at most %d are", size, limit).of(&op.decision)
}

func unusableMask(op *operation) *problem {
	return failed(codeInsufficient, "a mask that the policy asks for cannot be applied, so the rows are not delivered (mask_unusable)").of(&op.decision)
}

func copyMasked(o *operation) *problem {
	return failed(codeInsufficient, "refused by policy: COPY would deliver columns that are masked, and it cannot be masked (copy_masked)").
		withHint("COPY a table or columns of tables, in UTF8, with the usual options; or use SELECT.").of(&o.decision)
}

// count adds what a plan has masked to an outcome.
func count(o *gate.Outcome, classes []string, counts []int) {
	for i, n := range counts {
		if n == 0 {
			continue
		}
		if o.Masked == nil {
			o.Masked = map[string]int{}
		}
		o.Masked[classes[i]] += n
	}
}
