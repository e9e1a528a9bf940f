package postgres

import (
	"errors"
	"fmt"
)

// fromServer is the server's side of the session: it reads message by message
// until the session ends. The error says why.
func (s *session) fromServer() error {
	for {
		kind, size, err := s.server.next()
		if err != nil {
			if delivered := s.deliver(); delivered != nil && !errors.Is(delivered, errClientGone) {
				return delivered
			}
			return err
		}
		if kind == msgDataRow || kind == msgCopyData {
			err = s.row(kind, size)
		} else {
			err = s.control(kind, size)
		}
		if err != nil {
			return err
		}
		if s.out.size() > fullBatch {
			if err := s.deliver(); err != nil {
				return err
			}
		}
	}
}

// control handles a message that is not a row.
func (s *session) control(kind byte, size int) error {
	s.out.rowsOf = nil
	if size > s.cfg.MaxMessage {
		return fatal(codeProtocolViolation, "the server sent a message of %d bytes", size)
	}
	frame, err := s.server.take(size)
	if err != nil {
		return err
	}
	switch kind {
	case msgNotice, msgNotification, msgParameterStatus:
		return s.anytime(kind, frame)
	case msgError:
		return s.serverError(frame)
	case msgReady:
		return s.ready(frame)
	case msgParseComplete:
		return s.answered(wantParse, frame)
	case msgBindComplete:
		return s.answered(wantBind, frame)
	case msgCloseComplete:
		return s.answered(wantClose, frame)
	case msgParameterDesc:
		return s.parameterTypes(frame)
	case msgRowDescription, msgNoData:
		return s.described(kind, frame)
	case msgCommandComplete, msgEmptyQuery, msgPortalSuspended:
		return s.completed(kind, frame)
	case msgCopyInResponse, msgCopyOutResponse, msgCopyDone:
		return s.copyAnswer(kind, frame)
	}
	return unexpected(kind)
}

// unexpected ends the session: what the message belongs to is not known, so
// nothing behind it can be judged.
func unexpected(kind byte) error {
	return fatal(codeProtocolViolation, "the server sent an unexpected message %q", kind)
}

// current is the answer that the server is at; of none it is the zero value. Only
// the server's side takes it from the queue, so it stays the first until then.
func (s *session) current() answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.queue.first(); a != nil {
		return *a
	}
	return answer{}
}

// pop takes the answer that the server has given, which must be of the given
// kind, and confirms what it changed.
func (s *session) pop(w want) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.queue.first()
	if first == nil || first.want != w {
		return answer{}, fmt.Errorf("an answer that is not owed: %w", errMalformed)
	}
	a := s.queue.pop()
	for i := range a.changes {
		a.changes[i].resolve(true)
	}
	s.dirty = true
	s.changed.Broadcast()
	return a, nil
}

// answered handles ParseComplete, BindComplete and CloseComplete.
func (s *session) answered(w want, frame []byte) error {
	if s.current().want == wantProbe {
		return nil
	}
	a, err := s.pop(w)
	if err != nil {
		return unexpected(frame[0])
	}
	if a.last {
		if w == wantParse && a.op != nil {
			a.op.outcome.Tag = "PARSE"
		}
		s.conclude(a.op)
	}
	s.relay(frame, a.op)
	return nil
}

// relay delivers a control message, unless what it belongs to has been replaced
// by an error of the gateway's.
func (s *session) relay(frame []byte, op *operation) {
	if !s.muted {
		s.out.pass(frame, op, false)
	}
}

// anytime handles what the server may send between any two messages.
func (s *session) anytime(kind byte, frame []byte) error {
	a := s.current()
	if kind == msgParameterStatus {
		c := body(frame)
		name, value := c.string(), c.string()
		s.mu.Lock()
		s.params[name] = value
		if name == "search_path" {
			s.pathChanged = true
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.dirty = true
	s.mu.Unlock()
	op := a.op
	if kind == msgNotice && op != nil && op.withhold {
		s.withhold(frame, op)
		return nil
	}
	s.out.pass(frame, op, false)
	return nil
}

// parameterTypes learns the types of a statement's parameters.
func (s *session) parameterTypes(frame []byte) error {
	a := s.current()
	if a.want != wantDescribe || a.statement == nil {
		return unexpected(frame[0])
	}
	c := body(frame)
	types := make([]uint32, c.uint16())
	for i := range types {
		types[i] = c.uint32()
	}
	if c.end() != nil {
		return unexpected(frame[0])
	}
	s.mu.Lock()
	a.statement.types = types
	s.mu.Unlock()
	s.relay(frame, a.op)
	return nil
}

// described handles the answer to Describe, and the description that comes ahead
// of the rows of a simple query.
func (s *session) described(kind byte, frame []byte) error {
	a := s.current()
	switch {
	case a.want == wantProbe:
		return nil
	case a.want == wantQuery && a.op != nil && kind == msgRowDescription:
		s.plan(a.op, frame)
		s.relay(frame, a.op)
		return nil
	}
	popped, err := s.pop(wantDescribe)
	if err != nil {
		return unexpected(kind)
	}
	if popped.portal && kind == msgRowDescription {
		s.plan(popped.op, frame)
	}
	if !popped.hidden {
		s.relay(frame, popped.op)
	}
	return nil
}

// completed handles the end of a statement.
func (s *session) completed(kind byte, frame []byte) error {
	a := s.current()
	switch a.want {
	case wantProbe:
		return nil
	case wantQuery:
		s.queryStep(a.op, frame)
		return nil
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
		s.conclude(op)
	}
	s.relay(frame, popped.op)
	return nil
}

// queryStep handles the end of one statement of a simple query.
func (s *session) queryStep(op *operation, frame []byte) {
	at := 0
	if op != nil {
		at = op.statement
		op.statement++
		op.endPlan()
		op.copyOut = false
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
	if op != nil && s.replace(op) {
		return
	}
	s.relay(frame, op)
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
	case wantQuery, wantRefusedQuery, wantSync, wantProbe:
	default:
		s.mu.Unlock()
		return unexpected(frame[0])
	}
	if a.op != nil && a.op.cancelled.Load() {
		s.mu.Unlock()
		s.cancels.Wait() // it must not hit the next statement
		s.mu.Lock()
	}
	s.queue.pop()
	for i := range a.changes {
		a.changes[i].resolve(a.changes[i].at == always || a.want == wantSync)
	}
	s.txStatus = status
	if status == txIdle {
		s.out.masked = nil
		s.portals.endTransaction()
		s.maskedInTx = false
	}
	if a.probe != nil {
		a.probe.done = true
	}
	s.dirty = true
	s.changed.Broadcast()
	s.mu.Unlock()
	s.touch()
	if a.op != nil {
		s.conclude(a.op)
	}
	return s.relayReady(frame, a, status)
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

// copyAnswer handles the messages that begin and end COPY data.
func (s *session) copyAnswer(kind byte, frame []byte) error {
	a := s.current()
	if a.op == nil || a.want != wantQuery && a.want != wantExecute {
		return unexpected(kind)
	}
	s.mu.Lock()
	s.dirty = true
	if kind == msgCopyInResponse {
		s.queue.copyIn = true
		s.queue.dropSyncs()
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if kind == msgCopyOutResponse {
		a.op.copyOut = true
		if a.op.copiesMasked() { // a text that was not understood was a COPY
			s.interrupt(a.op, copyMasked(a.op))
		}
	}
	if a.op.problem.Load() == nil {
		s.relay(frame, a.op)
	}
	return nil
}
