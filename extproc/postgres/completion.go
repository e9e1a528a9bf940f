package postgres

import "bytes"

// completed handles the end of a statement.
func (s *session) completed(kind byte, frame []byte) error {
	a := s.current()
	switch a.want {
	case wantProbe:
		return nil
	case wantQuery:
		if !a.late && (a.op != nil || !a.hidden) { // else of the gateway's own transaction
			s.queryStep(a, frame)
		}
		return nil
	}
	if a.op != nil {
		s.confirm(a.op) // while the transaction still is there: behind the answer it may be ended
	}
	popped, err := s.pop(wantExecute)
	if err != nil {
		return unexpected(kind)
	}
	if op := popped.op; op != nil {
		op.outcome.Tag = tagOf(frame)
		if s.replace(op) {
			s.conclude(op)
			return nil
		}
		if op.columns != nil {
			s.tellColumns(op)
		}
		if popped.late {
			op.complete = bytes.Clone(frame)
			return nil
		}
		s.conclude(op)
	}
	s.relay(frame, popped.op)
	return nil
}

// queryStep handles the end of one statement of a simple query.
func (s *session) queryStep(a answer, frame []byte) {
	at, op := 0, a.op
	if op != nil {
		s.confirm(op)
		op.confirmed = false // the next one runs later
		at = op.statement
		op.statement++
		op.endPlan()
		op.copyOut, op.notRows = false, 0
		op.outcome.Tag = tagOf(frame)
	}
	s.mu.Lock()
	first := s.queue.first()
	kept := first.changes[:0]
	for _, c := range first.changes {
		if c.at == at {
			c.resolve(true)
		} else {
			kept = append(kept, c)
		}
	}
	first.changes = kept
	s.dirty = true
	s.mu.Unlock()
	switch {
	case op != nil && s.replace(op):
	case op != nil && a.hidden && op.statement == len(op.shape.analysis.Statements):
		op.complete = bytes.Clone(frame)
	default:
		s.relay(frame, op)
	}
}

func tagOf(frame []byte) string {
	if frame[0] != msgCommandComplete {
		return ""
	}
	return body(frame).string()
}

// ready handles ReadyForQuery: everything up to a Sync or a simple query is done.
func (s *session) ready(frame []byte) error {
	c := body(frame)
	status := c.byte()
	if c.end() != nil {
		return unexpected(frame[0])
	}
	s.mu.Lock()
	first := s.queue.first()
	if first == nil {
		s.mu.Unlock()
		return unexpected(frame[0])
	}
	a := *first
	switch a.want {
	case wantQuery, wantCall, wantRefusedQuery, wantSync, wantProbe:
	default:
		s.mu.Unlock()
		return unexpected(frame[0])
	}
	if s.cancelling {
		s.cancelling = false
		s.mu.Unlock()
		s.cancels.Wait() // a cancel request must not hit the next statement
		s.mu.Lock()
	}
	s.queue.pop()
	for i := range a.changes {
		a.changes[i].resolve(a.changes[i].at == always || a.want == wantSync)
	}
	s.txStatus = status
	// Nothing may go to the server before this transaction has failed.
	s.poisoning = !a.hidden && status == txOpen && s.muted && s.ownError
	if status == txIdle {
		s.out.masked = nil
		s.portals.endTransaction()
		s.maskedInTx = false
		if s.changes != nil && s.queue.n == 0 {
			s.changes()
			s.changes = nil
		}
	}
	if a.probe != nil {
		a.probe.asked--
		a.probe.done = a.probe.asked <= 0
	}
	s.dirty = true
	s.changed.Broadcast()
	s.mu.Unlock()
	s.touch()
	if a.op != nil && a.op.done { // it failed, and its end may be on record: nothing of it can follow
		a.op = nil
	}
	if a.op != nil {
		if a.want == wantCall {
			a.op.outcome.Tag = "CALL"
			s.replace(a.op)
		}
		s.tellEnd(a)
	}
	if status == txIdle {
		s.out.heard.mixed = false
	}
	return s.relayReady(frame, a, status)
}

// tellEnd ends an operation with the ReadyForQuery behind it. One that runs in a
// transaction of the gateway's own ends with that.
func (s *session) tellEnd(a answer) {
	op := a.op
	if a.hidden && a.want == wantQuery {
		return
	}
	if op.complete != nil && !op.done && op.outcome.Status == "" {
		s.relay(op.complete, op)
	}
	s.conclude(op)
}

// relayReady delivers ReadyForQuery where the client is to have it.
func (s *session) relayReady(frame []byte, a answer, status byte) error {
	if a.hidden {
		return nil
	}
	failing := s.muted && s.ownError
	s.muted, s.ownError = false, false
	if failing && status == txOpen {
		return s.failTransaction()
	}
	s.out.pass(frame, a.op, false)
	return nil
}
