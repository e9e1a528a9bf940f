package postgres

import (
	"errors"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What a statement has written stays when its rows are withheld after it was
// committed, and what it was judged under can be changed back then (confirm). In the
// extended protocol nothing is committed before the Sync, unless the client has begun
// a transaction. So the Sync behind such a statement waits until it is certain that the
// client may have them, and where it may not the server is made to fail first. Whatever
// else may commit waits in the same way: a COMMIT ahead of the Sync, a Query in its place.

// revocable says that an operation is to be confirmed, or that it writes and returns rows
// that the decision may yet withhold.
func (o *operation) revocable() bool {
	l := &o.decision.Limits
	return o.rests || (len(o.masks) > 0 || l.MaxRows > 0 || l.MaxBytes > 0) && (!o.shape.copies || o.shape.deliversCopy()) && o.shape.mayWrite() &&
		slices.ContainsFunc(o.shape.analysis.Statements, func(st sqlmeta.Statement) bool { return deliversRows(&st) })
}

// deliversRows is returnsRows with what policy bounds beside the rows of tables.
func deliversRows(st *sqlmeta.Statement) bool {
	return returnsRows(st) || st.Action == sqlmeta.ActionExplain || slices.Contains(st.Risks, sqlmeta.RiskCopyOut)
}

// deliversCopy says that a text is one COPY, and that its data goes to the client.
func (s *shape) deliversCopy() bool {
	return len(s.analysis.Statements) == 1 && slices.Contains(s.analysis.Statements[0].Risks, sqlmeta.RiskCopyOut)
}

func (s *shape) writes() bool {
	for i := range s.sql.Tables {
		if s.sql.Tables[i].Access == string(sqlmeta.Write) {
			return true
		}
	}
	return false
}

// mayWrite says that a statement writes, or calls what may: functions that are not
// the server's own.
func (s *shape) mayWrite() bool {
	return s.writes() || slices.Contains(s.risks, sqlmeta.RiskOpaqueFunction) ||
		slices.ContainsFunc(s.sql.Functions, func(name string) bool { return !strings.HasPrefix(name, "pg_catalog.") })
}

// endingActions may end a transaction, some of them only where nothing else has run in
// it yet.
var endingActions = []string{
	sqlmeta.ActionTransaction, sqlmeta.ActionUnknown, sqlmeta.ActionCall, sqlmeta.ActionDo, sqlmeta.ActionDDL, sqlmeta.ActionMaintain,
}

// mayCommit says that a statement may end the transaction that it runs in.
func (s *shape) mayCommit() bool {
	return slices.ContainsFunc(endingActions, func(action string) bool { return containsAction(s, action) })
}

// settleWrites takes back what this segment has written where its rows are withheld.
// The client has been told already; as behind any error, all is dropped up to its
// Sync then.
func (s *session) settleWrites() error {
	if len(s.writes) == 0 {
		return nil
	}
	writes := s.writes
	s.writes = nil
	if err := s.await(s.ctx, func() bool { return s.queue.n == 0 }); err != nil {
		return err
	}
	withheld := slices.ContainsFunc(writes, func(op *operation) bool { return op.problem.Load() != nil })
	if withheld && !s.skips() {
		s.send(poisoned(poisonName), answer{want: wantRefusal})
		s.refusing = true
	}
	return nil
}

// begin opens a chain for a statement. Where it may commit, what is to be taken back
// is, before.
func (s *session) begin(sh *shape) error {
	if sh != nil && sh.mayCommit() {
		if err := s.settleWrites(); err != nil || s.refusing {
			return err
		}
	}
	s.openChain()
	return nil
}

// queryInSteps runs a simple query of one statement in the steps of the extended
// protocol, so that it can be taken back. The client sees no difference: all but a
// SELECT has run before its rows are described, so that it sees an error first, and
// its end is told when it is committed.
func (s *session) queryInSteps(op *operation, text string) error {
	s.send(appendMessage(nil, msgParse, []byte{0}, cstring(text), []byte{0, 0}), answer{
		want: wantParse, hidden: true, op: op, changes: []change{{of: &s.statements}},
	})
	s.send(appendMessage(nil, msgBind, make([]byte, 2+3*2)), answer{
		want: wantBind, hidden: true, op: op, changes: []change{{of: &s.portals}},
	})
	late := op.shape.action != sqlmeta.ActionSelect
	s.send(appendMessage(nil, msgDescribe, []byte{'P', 0}), answer{want: wantDescribe, portal: true, late: late, op: op})
	s.send(appendMessage(nil, msgExecute, make([]byte, 1+4)), answer{want: wantExecute, late: true, op: op})
	s.segmentOpen.Store(true)
	s.writes = append(s.writes, op)
	if err := s.settleWrites(); err != nil {
		return err
	}
	s.refusing = false
	s.send(appendMessage(nil, msgSync), answer{want: wantSync, op: op})
	return s.endSegment()
}

// queryInTransaction runs a simple query that cannot go in steps in a transaction of
// the gateway's own, where the client has begun none: the server would commit it at
// its end. Nothing follows before it is certain that the client may have its rows.
func (s *session) queryInTransaction(op *operation, frame []byte, a answer) error {
	if err := s.await(s.ctx, func() bool { return s.queue.n == 0 }); err != nil {
		return err
	}
	s.mu.Lock()
	own := s.txStatus == txIdle && !s.queue.skipping && !s.unsynced
	s.mu.Unlock()
	switch {
	case s.unsynced: // it depends on the server's version whether a Query commits there
		op.stays.Store(true)
	case !own:
	case containsAction(op.shape, sqlmeta.ActionTransaction), containsAction(op.shape, sqlmeta.ActionUnknown):
		own = false
		op.stays.Store(true)
	default:
		s.send(appendMessage(nil, msgQuery, cstring("BEGIN")), answer{want: wantQuery, hidden: true})
		a.hidden = true
	}
	if err := s.sendWhole(frame, a); err != nil {
		return err
	}
	if err := s.await(s.ctx, func() bool { return s.queue.n == 0 }); err != nil || !own {
		return errors.Join(err, s.endSegment())
	}
	end := "COMMIT"
	if op.problem.Load() != nil {
		end = "ROLLBACK"
	}
	s.send(appendMessage(nil, msgQuery, cstring(end)), answer{want: wantQuery, late: true, op: op})
	return s.endSegment()
}

// tellColumns delivers the description of rows that come now.
func (s *session) tellColumns(op *operation) {
	columns := op.columns
	op.columns = nil
	if !s.muted {
		s.put(op, func(dst []byte) []byte { return append(dst, columns...) })
	}
}
