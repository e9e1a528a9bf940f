package postgres

import (
	"errors"
	"slices"
)

// fromClient is the client's side of the session: it reads message by message
// until the session ends. The error says why.
func (s *session) fromClient() error {
	reads := -1
	for {
		kind, size, err := s.client.next()
		if err != nil {
			if errors.Is(err, errFrame) {
				return fatal(codeProtocolViolation, "invalid message length")
			}
			return err
		}
		if s.client.reads != reads { // not for each message of what came at once
			reads = s.client.reads
			s.touch()
		}
		s.bytesIn.Add(int64(size))
		s.metrics.bytesIn.Add(float64(size))
		if err := s.message(kind, size); err != nil {
			return err
		}
		if s.batch.full() {
			if err := s.sendGathered(); err != nil {
				return err
			}
		}
	}
}

// clientMessages are those that a client may send once it has signed in.
const clientMessages = "QPBDECSHFdcfX"

// maxSmall bounds the messages that hold no more than a name, as in the server
// (PQ_SMALL_MESSAGE_LIMIT).
const maxSmall = 10000

// message handles one message, which has not been taken from the reader yet.
func (s *session) message(kind byte, size int) error {
	switch {
	case !slices.Contains([]byte(clientMessages), kind):
		return fatal(codeProtocolViolation, "invalid frontend message type %d", kind)
	case kind == msgCopyData, kind == msgCopyDone, kind == msgCopyFail:
		return s.copyMessage(kind, size)
	case kind == msgTerminate:
		return s.terminate()
	case s.copying == nil && !s.segmentOpen.Load() && s.endingNow() != nil:
		if err := s.sendGathered(); err != nil { // what was taken before it came to that
			return err
		}
		return errEnded
	case kind != msgQuery && kind != msgParse && kind != msgBind && kind != msgFunctionCall && size > maxSmall,
		(kind == msgSync || kind == msgFlush) && size != headerLen:
		return fatal(codeProtocolViolation, "invalid message length")
	}
	if ready, err := s.outsideCopy(kind, size); !ready || err != nil {
		return err
	}
	if kind != msgSync && s.skips() {
		return s.client.discard(size)
	}
	if size > s.cfg.MaxMessage {
		return s.oversized(kind, size)
	}
	frame, err := s.client.take(size)
	if err != nil {
		return err
	}
	if kind == msgQuery {
		err = s.query(frame)
	} else {
		err = s.extended(kind, frame)
	}
	if w, ok := errors.AsType[*withdrawn](err); ok {
		err = s.alsoRefused(kind, frame, w.problem)
	}
	return err
}

// skips says that the client's messages are dropped up to its next Sync, because
// the server or the gateway has refused one.
func (s *session) skips() bool {
	if s.refusing {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.skipping && len(s.batch.answers) == 0
}

// oversized refuses a message that is too large to be held.
func (s *session) oversized(kind byte, size int) error {
	if err := s.client.discard(size); err != nil {
		return err
	}
	p := failed(codeLimitExceeded, "the message has %d bytes, and at most %d are taken", size, s.cfg.MaxMessage).
		withHint("Send large values with COPY.")
	switch kind {
	case msgQuery:
		return s.refuseQuery(p)
	case msgFunctionCall:
		return s.refuseCall(p)
	}
	return s.refuseExtended(p)
}

// terminate passes the client's leave on.
func (s *session) terminate() error {
	s.cutChain()
	if err := s.sendGathered(); err != nil {
		return err
	}
	s.send(appendMessage(nil, msgTerminate))
	s.terminating.Store(true)
	if err := s.flush(); err != nil {
		return err
	}
	return errTerminate
}
