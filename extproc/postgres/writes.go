package postgres

import (
	"slices"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What a statement has written stays when its rows are withheld after it was
// committed. In the extended protocol nothing is committed before the Sync, unless
// the client has begun a transaction. So the Sync behind a statement that writes
// and returns rows waits until it is certain that the client may have them, and
// where it may not the server is made to fail first.

// revocable says that an operation writes and returns rows, and that the decision
// may yet withhold them.
func (o *operation) revocable() bool {
	l := &o.decision.Limits
	return (len(o.masks) > 0 || l.MaxRows > 0 || l.MaxBytes > 0) && !o.shape.copies && o.shape.writes() &&
		slices.ContainsFunc(o.shape.analysis.Statements, func(st sqlmeta.Statement) bool { return returnsRows(&st) })
}

func (s *shape) writes() bool {
	for i := range s.sql.Tables {
		if s.sql.Tables[i].Access == string(sqlmeta.Write) {
			return true
		}
	}
	return false
}

// settleWrites takes back what this segment has written where its rows are withheld.
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
	if withheld && !s.skips() { // the client has been told already
		s.send(poisoned(poisonName), answer{want: wantRefusal})
	}
	return nil
}

// queryInSteps runs a simple query of one statement in the steps of the extended
// protocol, so that it can be taken back. The client sees no difference: a statement
// that writes has run before its rows are described, so that it sees an error first.
func (s *session) queryInSteps(op *operation, text string) error {
	s.send(appendMessage(nil, msgParse, []byte{0}, cstring(text), []byte{0, 0}), answer{
		want: wantParse, hidden: true, op: op, changes: []change{{of: &s.statements}},
	})
	s.send(appendMessage(nil, msgBind, make([]byte, 2+3*2)), answer{want: wantBind, hidden: true, op: op})
	s.send(appendMessage(nil, msgDescribe, []byte{'P', 0}), answer{want: wantDescribe, portal: true, late: true, op: op})
	s.send(appendMessage(nil, msgExecute, make([]byte, 1+4)), answer{want: wantExecute, op: op})
	s.segmentOpen.Store(true)
	s.writes = append(s.writes, op)
	if err := s.settleWrites(); err != nil {
		return err
	}
	s.send(appendMessage(nil, msgSync), answer{want: wantSync})
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
