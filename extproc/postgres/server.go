package postgres

import (
	"bytes"
	"errors"
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
		if kind == msgDataRow || kind == msgCopyData || kind == msgFunctionResult {
			err = s.row(kind, size)
		} else {
			err = s.control(kind, size)
		}
		if err != nil {
			return err
		}
		if s.out.size() > fullDelivery {
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
	case msgCopyInResponse, msgCopyOutResponse, msgCopyBothResponse, msgCopyDone:
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
		return answer{}, errors.New("an answer that is not owed")
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
	if !a.hidden {
		s.relay(frame, a.op)
	}
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
	if kind == msgNotice && a.want == wantProbe {
		return nil // about a question that the client did not ask
	}
	var name, value string
	if kind == msgParameterStatus {
		c := body(frame)
		name, value = c.string(), c.string()
		s.mu.Lock()
		s.params[name] = value
		if name == "search_path" {
			s.pathChanged, s.settingsChanged = true, true
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.dirty = true
	s.mu.Unlock()
	op := a.op
	switch kind {
	case msgNotification:
		return s.notification(frame, op)
	case msgParameterStatus:
		s.setting(frame, a, name, value)
		return nil
	}
	bearer, withheld := s.withheld(a) // a deferred trigger remarks at COMMIT, or at the Sync
	if withheld || op != nil && !s.confirm(op) {
		s.withhold(frame, bearer)
		return nil
	}
	s.tellAs(frame, s.seekMessage(frame, op), op)
	return nil
}

// parameterTypes learns the types of a statement's parameters.
func (s *session) parameterTypes(frame []byte) error {
	a := s.current()
	if a.want != wantDescribe || a.statement == nil {
		return unexpected(frame[0])
	}
	c := body(frame)
	count := c.uint16()
	types := make([]uint32, len(c.b)/4)
	for i := range types {
		types[i] = c.uint32()
	}
	// Of more than 65,535 parameters the server counts the rest only.
	if c.end() != nil || uint16(len(types)) != count {
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
	switch {
	case popped.late && kind == msgRowDescription:
		popped.op.columns = bytes.Clone(frame)
	case popped.late:
	case !popped.hidden:
		s.relay(frame, popped.op)
	}
	return nil
}
