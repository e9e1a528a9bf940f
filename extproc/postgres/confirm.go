package postgres

import (
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// A statement is judged under the catalog as it was read last, and runs under the one that
// there is when the server looks at it. Somebody who does not pass this gateway may have
// changed it in between. So where columns are masked, and the server itself does not say
// of every column of a result which column of which table it is, nothing of the result
// leaves before the catalog was asked whether what the analysis rests on still is so.
//
// The server has the relations of a statement locked from when it looks at them until the
// transaction ends. So the transaction must not end before that answer either: else
// somebody could change it back, or drop what he has made. That is why the Sync waits
// (settleWrites), and a Query that cannot be run in steps has a transaction of
// its own (queryInTransaction).

// systemSchemas are those whose relations nobody changes.
var systemSchemas = []string{"pg_catalog", "information_schema"}

// rest notes the names that the meaning of a statement rests on, and whether it does.
func (b *shapeBuilder) rest(st *sqlmeta.Statement) {
	for _, t := range st.Tables {
		if t.Known && slices.Contains(systemSchemas, t.Schema) {
			continue
		}
		b.names.Relations = append(b.names.Relations, t.Name)
	}
	b.sought, b.code, b.beneath = b.sought || len(st.Sought) > 0, b.code || st.Code, b.beneath || len(st.Beneath) > 0
	for _, f := range slices.Concat(st.Functions, st.Beneath) {
		b.foreign = b.foreign || !strings.HasPrefix(f, "pg_catalog.")
		for _, name, found := strings.Cut(f, "."); found; _, name, found = strings.Cut(name, ".") { // either part may hold a dot
			b.names.Functions = append(b.names.Functions, name)
		}
		if !strings.Contains(f, ".") {
			b.names.Functions = append(b.names.Functions, f)
		}
	}
	b.derived = b.derived || derives(b.catalog, st)
}

// rests says whether an operation must not be delivered before it is confirmed.
func (s *shape) rests() bool {
	return s.derived && (s.foreign || s.sought || len(s.names.Relations) > 0)
}

// derives says whether a statement delivers or writes anything but columns of plain tables
// as they are, of which the server says where they come from.
func derives(c sqlmeta.Catalog, st *sqlmeta.Statement) bool {
	if st.Action == sqlmeta.ActionExplain {
		return false
	}
	return slices.Contains(st.Risks, sqlmeta.RiskCopyOut) ||
		len(st.Flows) > 0 && !createsView.MatchString(st.Text) ||
		slices.ContainsFunc(st.Outputs, func(o sqlmeta.Output) bool { return !ofPlainTable(c, &o) })
}

// ofPlainTable says whether an output is a column of a table that holds its own rows alone.
func ofPlainTable(c sqlmeta.Catalog, o *sqlmeta.Output) bool {
	if !o.Direct || o.Relation == 0 {
		return false
	}
	rel, ok := c.RelationByOID(o.Relation)
	return ok && (rel.Kind == "r" || rel.Kind == "m") && len(rel.Children) == 0
}

// confirm says whether what an operation was judged under still is so. Where it is not, or
// that is not known, the operation has a problem afterwards, and nothing of it may leave.
// It is called while the server holds what the operation uses.
func (s *session) confirm(op *operation) bool { return s.confirmWhile(op, !op.stays.Load()) }

// confirmWhile is confirm where the server may hold nothing any more: it has failed, or
// may have committed.
func (s *session) confirmWhile(op *operation, held bool) bool {
	switch {
	case op.problem.Load() != nil:
		return false
	case !op.rests, op.confirmed:
		return true
	case op.portal != nil && op.portal.confirmed: // this is its next piece
		op.confirmed = true
		return true
	}
	names := op.shape.names
	if !op.shape.foreign && len(names.Relations) == 0 { // operators and casts of the server's own functions
		names = sqlmeta.Names{}
	}
	ok, err := s.catalog.Holds(s.ctx, op.shape.catalog, names)
	if err == nil && !ok && held {
		ok, err = s.again(op)
	}
	if err == nil && ok {
		op.confirmed = true
		if op.portal != nil {
			op.portal.confirmed = true
		}
		return true
	}
	if err != nil && s.ctx.Err() == nil {
		s.deps.Log.Error("it could not be asked whether the catalog still is what a statement was judged under",
			"target", s.cfg.Target.Name, "session", s.gate.ID, "err", err)
	}
	s.mu.Lock()
	s.catalogStale = true
	s.mu.Unlock()
	s.metrics.stale.Inc()
	op.breakOff(failed(codeInsufficient, "the result is not delivered: what the statement names has been changed since it was judged, and columns of this target are masked (catalog_changed)").
		withHint("Run it again.").of(&op.decision))
	return false
}
