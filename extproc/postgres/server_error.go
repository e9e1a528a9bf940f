package postgres

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// serverError handles an ErrorResponse: whose error it is, what the client is
// told, and what the server will not answer because of it.
func (s *session) serverError(frame []byte) error {
	var m pgproto3.ErrorResponse
	if err := m.Decode(frame[headerLen:]); err != nil {
		return unexpected(frame[0])
	}
	a := s.current()
	s.mu.Lock()
	s.dirty = true
	s.queue.copyIn = false
	s.changed.Broadcast()
	s.mu.Unlock()
	if severity := m.SeverityUnlocalized; severity == "FATAL" || severity == "PANIC" || a.want == 0 {
		s.out.lastWords = severity != "ERROR"
		s.tellServerError(frame, a.op, a.op != nil && a.op.withhold && !harmless(&m))
		return nil
	}
	switch a.want {
	case wantProbe:
		s.mu.Lock()
		a.probe.failed = true
		s.mu.Unlock()
		return nil
	case wantRefusedQuery:
		s.tellRefusal(a.refusal, &m, frame)
		return nil
	case wantRefusal:
		s.tellRefusal(a.refusal, &m, frame)
		s.dropUnnamed()
		s.failSegment()
		return nil
	case wantParse:
		s.dropUnnamed()
	}
	if a.op != nil && !harmless(&m) {
		s.confirmWhile(a.op, false) // or its text must not be told
	}
	bearer, withheld := s.withheld(a)
	if op := a.op; op != nil && op.problem.Load() != nil {
		p := op.problem.Load()
		s.tell(p, op)
		op.fail("refused", p.code, p.message)
	} else {
		s.tellServerError(frame, bearer, withheld && !harmless(&m))
		if op != nil {
			op.fail("error", m.Code, errorText(&m, withheld, op))
		}
	}
	if a.want != wantQuery && a.want != wantCall && a.want != wantSync {
		s.conclude(a.op)
		s.failSegment()
	}
	return nil
}

// tellRefusal delivers a refusal where the server failed on what stands for it. In a
// failed transaction the server's own error is told, as of any other statement.
func (s *session) tellRefusal(p *problem, m *pgproto3.ErrorResponse, frame []byte) {
	if m.Code == codeInFailedTransaction && p != nil && !p.first && !s.muted {
		s.out.pass(frame, nil, false)
		return
	}
	s.tell(p, nil)
}

// tell delivers an error of the gateway's own in the server's place.
func (s *session) tell(p *problem, op *operation) {
	if p != nil && !s.muted {
		s.put(op, p.append)
	}
}

// tellServerError delivers the server's error, as far as its text may be seen.
func (s *session) tellServerError(frame []byte, op *operation, withheld bool) {
	switch {
	case s.muted:
	case withheld:
		s.withhold(frame, op)
	default:
		s.tellAs(frame, s.seekMessage(frame, op), op)
	}
}

// withheld says whether the text of an error may hold what is masked, and which
// operation the error is recorded with. One at COMMIT, at the Sync that commits, or
// at SET CONSTRAINTS may be about anything that the transaction has touched.
func (s *session) withheld(a answer) (*operation, bool) {
	op := a.op
	if op != nil && (op.withhold || !containsAction(op.shape, sqlmeta.ActionTransaction) && !containsAction(op.shape, sqlmeta.ActionSet)) {
		return op, op.withhold
	}
	if op == nil {
		op = s.out.masked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op, s.maskedInTx && op != nil
}

// dropUnnamed notes that a Parse has failed: the unnamed statement that it would
// have replaced is gone, a named one stays.
func (s *session) dropUnnamed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.queue.first()
	for _, c := range first.changes {
		if c.name == "" {
			c.to = nil
			c.resolve(true)
			first.changes = nil
			return
		}
	}
}

// failSegment drops what the server will not answer because of an error in the
// extended protocol.
func (s *session) failSegment() {
	s.mu.Lock()
	s.queue.skip(s.drop)
	s.changed.Broadcast()
	s.mu.Unlock()
}

// replace delivers the gateway's own error in place of a result, if there is one,
// and mutes what follows of it.
func (s *session) replace(op *operation) bool {
	p := op.problem.Load()
	if p == nil {
		return false
	}
	op.fail("refused", p.code, p.message)
	s.tell(p, op)
	s.muted, s.ownError = true, true
	return true
}

// failTransaction makes the server's transaction fail where the gateway has put
// an error in place of a result that the server was content with. The client
// sees ReadyForQuery when the two agree.
func (s *session) failTransaction() error {
	s.mu.Lock()
	for s.sending && s.queue.n == 0 && !s.closed.Load() {
		s.changed.Wait() // what is being sent has been answered: it is about to end
	}
	if s.queue.n > 0 || s.closed.Load() {
		s.poisoning = false
		s.changed.Broadcast()
		s.mu.Unlock()
		return fatal(codeLimitExceeded, "the session ends: a result was refused after later statements had been sent")
	}
	s.queue.push(answer{want: wantRefusedQuery})
	s.mu.Unlock()
	_, err := s.serverConn.Write(appendMessage(poisoned(poisonName), msgSync))
	s.mu.Lock()
	s.poisoning = false
	s.changed.Broadcast()
	s.mu.Unlock()
	if err != nil {
		return errServerGone
	}
	return nil
}
