package postgres

import "github.com/weir-gateway/weir/internal/gate"

// COPY changes what messages mean: while the server reads COPY data it takes no
// other message, and ignores Sync. So as long as a COPY may be under way, nothing
// else is sent to it (PostgreSQL, "COPY operations").
//
// COPY data itself does not wait until the server asks for it: clients send it at
// once, much of it, and the server's answer may lie behind what they have sent. A
// server that reads no COPY data drops it.

// copyState says whether a COPY that was forwarded has not been answered, whether
// the server reads its data, and whether the client has ended data that the server
// has not asked for yet.
func (s *session) copyState() (owed, reading, early bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.copies > 0, s.queue.copyIn, s.queue.copyEnds > 0
}

// awaitCopy waits until it is clear whether the server reads COPY data.
func (s *session) awaitCopy() (reading bool, err error) {
	err = s.await(s.ctx, func() bool { return s.queue.copyIn || s.queue.copies == 0 })
	_, reading, _ = s.copyState()
	return reading, err
}

// copyMessage handles CopyData, CopyDone and CopyFail. Data is forwarded as it comes.
func (s *session) copyMessage(kind byte, size int) error {
	owed := false
	if s.copying != nil {
		if len(s.batch.answers) > 0 { // the COPY itself may not have been sent
			if err := s.sendGathered(); err != nil {
				return err
			}
		}
		owed, _, _ = s.copyState()
	}
	if !owed {
		return s.client.discard(size) // as the server does, when a COPY has failed
	}
	if kind == msgCopyFail && s.copying.both() {
		return s.failsCopy(size)
	}
	if kind != msgCopyData {
		return s.endCopyMessage(size)
	}
	for size > 0 {
		b, err := s.client.chunk(size)
		if err != nil {
			return err
		}
		size -= len(b)
		if s.batch.copyFrom < 0 {
			s.batch.copyFrom = len(s.batch.out)
		}
		s.batch.out = append(s.batch.out, b...)
		if len(s.batch.out) > fullBatch {
			if err := s.sendGathered(); err != nil {
				return err
			}
		}
	}
	return nil
}

// endCopyMessage forwards CopyDone or CopyFail, which ends the data only when all of
// it has come: a client may leave in the middle of it. It is forwarded as the server
// reads it, without what stands behind.
func (s *session) endCopyMessage(size int) error {
	if size > maxSmall {
		return fatal(codeProtocolViolation, "invalid message length")
	}
	frame, err := s.client.take(size)
	if err != nil {
		return err
	}
	s.mu.Lock()
	owed := s.queue.copies > 0
	if owed {
		s.queue.endCopyData()
	}
	s.mu.Unlock()
	if !owed {
		return nil // the COPY has failed meanwhile
	}
	if s.batch.copyFrom < 0 {
		s.batch.copyFrom = len(s.batch.out)
	}
	s.batch.out = append(s.batch.out, canonicalEnd(frame)...)
	return nil
}

// canonicalEnd is CopyDone or CopyFail with what the server reads of it. A CopyFail
// without a reason that can be read fails the COPY all the same.
func canonicalEnd(frame []byte) []byte {
	if frame[0] == msgCopyDone {
		return appendMessage(nil, msgCopyDone)
	}
	c := body(frame)
	reason := c.string()
	if c.wrong != "" {
		reason = c.wrong.Error()
	}
	return appendMessage(nil, msgCopyFail, cstring(reason))
}

// outsideCopy says whether a message that is not COPY data can be handled now.
func (s *session) outsideCopy(kind byte, size int) (bool, error) {
	if s.copying == nil {
		return true, nil
	}
	if err := s.sendGathered(); err != nil { // the COPY itself may not have been sent
		return false, err
	}
	owed, reading, early := s.copyState()
	ignored := kind == msgSync || kind == msgFlush
	if early && ignored { // the server ignores it if it stands before the data only
		if err := s.await(s.ctx, func() bool { return s.queue.copyEnds == 0 }); err != nil {
			return false, err
		}
		owed, reading, _ = s.copyState()
	}
	// Whether the server ignores a Sync need not be known, unless it waits for writes:
	// the COPY behind them would not end before its data has come.
	if owed && !reading && (!ignored || len(s.writes) > 0) {
		var err error
		if reading, err = s.awaitCopy(); err != nil {
			return false, err
		}
		owed = reading
	}
	switch {
	case reading && s.copying.both():
		return false, notInStream(kind)
	case reading && ignored:
		return false, s.client.discard(size)
	case reading:
		return false, fatal(codeProtocolViolation, "unexpected message type 0x%02X during COPY from stdin", kind)
	case !owed:
		s.copying = nil
	}
	return true, nil
}

// recordCopy records COPY data of the client before it is forwarded.
func (s *session) recordCopy(n int) error {
	from := s.batch.copyFrom
	s.batch.copyFrom = -1
	if from < 0 || from >= n || s.copying == nil || s.copying.metadata {
		return nil
	}
	if err := s.deps.Gate.Payload(s.ctx, s.gate, s.copying.id, gate.RequestStream, s.batch.out[from:n]); err != nil {
		p := s.unjudged(s.ctx, err)
		p.severity = "FATAL"
		return p
	}
	return nil
}

// copyAnswer handles the messages that begin and end COPY data.
func (s *session) copyAnswer(kind byte, frame []byte) error {
	a := s.current()
	if a.op == nil || a.want != wantQuery && a.want != wantExecute {
		return unexpected(kind)
	}
	if a.op.shape.command != nil && kind != msgCopyDone {
		if err := s.beginStream(kind, a.op); err != nil {
			return err
		}
	} else if kind == msgCopyBothResponse {
		return unexpected(kind)
	}
	s.mu.Lock()
	s.dirty = true
	if kind == msgCopyInResponse || kind == msgCopyBothResponse {
		s.queue.beginCopyData()
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	switch kind {
	case msgCopyOutResponse:
		if a.op.shape.command == nil {
			s.beginCopy(a.op, frame)
		}
	case msgCopyDone:
		s.endCopy(a.op)
		a.op.copyOut = a.op.both() // what follows are rows; of a stream, a piece that was on its way too
	}
	if a.op.problem.Load() == nil {
		s.relay(frame, a.op)
	}
	return nil
}
