package postgres

// While a server streams (CopyBothResponse) both sides send CopyData at any time,
// each until its CopyDone. Nothing else is taken from the client meanwhile
// (PostgreSQL, "Streaming Replication Protocol"). The queue counts it as a COPY from
// the client: what the client ends with CopyDone.

// streaming says that a stream goes on: its client has not ended it. Such a session
// can end at any time, as its client takes it up again where it was. The session's
// lock must be held.
func (s *session) streaming() bool {
	first := s.queue.first()
	return s.queue.copyIn && first != nil && first.op != nil && first.op.both()
}

// both says that the data of an operation goes both ways.
func (o *operation) both() bool { return o.shape.command != nil && o.shape.command.name == startStream }

// failsCopy handles the client's CopyFail. In a stream there is none; where there
// turned out to be no stream it is dropped, as the server does.
func (s *session) failsCopy(size int) error {
	reading, err := s.awaitCopy()
	if err != nil {
		return err
	}
	if reading {
		return notInStream(msgCopyFail)
	}
	return s.client.discard(size)
}

// notInStream is what the server says of a message that does not belong into a
// stream.
func notInStream(kind byte) *problem {
	return fatal(codeProtocolViolation, "invalid standby message type \"%c\"", kind)
}
