package postgres

import (
	"context"
	"errors"
	"slices"
	"time"
)

// batch is what the client's side is about to send to the server, with the
// answers that it will owe for it.
type batch struct {
	out      []byte
	answers  []answer
	copyFrom int // where COPY data begins that is not recorded yet, -1 for nowhere
}

const (
	// fullBatch is how much is gathered before it is sent, in bytes.
	fullBatch = 64 << 10
	// fullAnswers is for how many answers that is, about twice the operations. What
	// is recorded of each takes some kilobytes until then.
	fullAnswers = 1 << 10
)

func (b *batch) full() bool { return len(b.out) > fullBatch || len(b.answers) > fullAnswers }

// send adds bytes for the server to the batch.
func (s *session) send(b []byte, answers ...answer) {
	at := len(s.batch.out)
	s.batch.out = append(s.batch.out, b...)
	for i := range answers {
		answers[i].at = at
		s.batch.answers = append(s.batch.answers, answers[i])
		s.announce(answers[i].changes)
	}
}

func (s *session) announce(changes []change) {
	if len(changes) == 0 {
		return
	}
	s.mu.Lock()
	for i := range changes {
		changes[i].announce()
	}
	s.mu.Unlock()
}

// flush sends what may be sent, once it is recorded. The messages of a chain stay
// until their operation is judged: the server would not answer them before a Sync
// either. A withdrawn says that the rest was refused; what is being handled shares
// its fate.
func (s *session) flush() error {
	refused := s.settle()
	n, answers := len(s.batch.out), len(s.batch.answers)
	if s.chain.open {
		n, answers = s.chain.from, s.chain.fromAnswer
	}
	if n == 0 {
		return errors.Join(refused, s.ended())
	}
	if err := s.recordCopy(n); err != nil {
		return err
	}
	if err := s.forward(s.batch.out[:n], s.batch.answers[:answers]); err != nil {
		return err
	}
	s.batch.out = s.batch.out[:copy(s.batch.out, s.batch.out[n:])]
	rest := copy(s.batch.answers, s.batch.answers[answers:])
	clear(s.batch.answers[rest:])
	s.batch.answers = s.batch.answers[:rest]
	for i := range s.batch.answers {
		s.batch.answers[i].at -= n
	}
	if s.chain.open {
		s.chain.from, s.chain.fromAnswer = 0, 0
	}
	return refused
}

// forward sends messages to the server, which so owes answers. Nothing passes here
// that is not recorded.
func (s *session) forward(b []byte, answers []answer) error {
	if slices.ContainsFunc(answers, func(a answer) bool { return a.op != nil && a.op.recorded != nil }) {
		return fatal(codeInternal, "the gateway was about to send what it has not recorded")
	}
	if err := s.owe(answers); err != nil {
		return err
	}
	_, err := s.serverConn.Write(b)
	s.mu.Lock()
	s.sending = false
	s.changed.Broadcast()
	s.mu.Unlock()
	if err != nil {
		return errServerGone
	}
	return nil
}

// sendWhole sends one message: a large one from where it was read, at once.
func (s *session) sendWhole(frame []byte, a answer) error {
	if len(frame) <= fullBatch || s.chain.open {
		s.send(frame, a)
		return nil
	}
	err := s.flush()
	if err == nil {
		s.announce(a.changes)
		err = s.forward(frame, []answer{a})
	}
	if err != nil { // the session ends, and its outcome is recorded
		s.mu.Lock()
		s.drop(&a)
		s.mu.Unlock()
	}
	return err
}

// beforeWait is what is done before the client is waited for: everything is sent,
// and an idle session holds no large buffers.
func (s *session) beforeWait() error {
	if err := s.sendGathered(); err != nil {
		return err
	}
	if s.endingNow() != nil && s.readyToEnd() {
		return errEnded // what was to be finished is
	}
	if len(s.batch.out) == 0 && s.copying == nil {
		if cap(s.batch.out) > 2*smallBuffer {
			s.batch.out = nil
		}
		s.client.shrink()
	}
	return nil
}

// owe puts answers into the queue just before their messages are sent.
func (s *session) owe(answers []answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancelling {
		s.mu.Unlock()
		s.cancels.Wait() // a cancel request must not hit what is sent now
		s.mu.Lock()
	}
	for s.poisoning && !s.closed.Load() {
		s.changed.Wait()
	}
	if s.ending != nil && !s.ending.finish || s.closed.Load() {
		for i := range answers {
			s.drop(&answers[i])
		}
		return errEnded
	}
	if s.queue.n+len(answers) > maxOwed {
		return fatal(codeLimitExceeded, "more than %d messages wait for an answer", maxOwed)
	}
	s.sending = true
	for i := range answers {
		s.oweOne(&answers[i])
	}
	return nil
}

// oweOne puts one answer into the queue, unless the server will skip its message.
func (s *session) oweOne(a *answer) {
	if s.queue.skipping {
		if a.want != wantSync {
			s.drop(a)
			return
		}
		s.queue.skipping = false
	}
	if a.op != nil && a.op.shape.ddl && s.changes == nil {
		s.changes = s.catalog.Changes()
	}
	if a.op != nil && a.op.started.IsZero() {
		a.op.started = time.Now()
	}
	s.queue.push(*a)
}

// maxOwed bounds the messages of one session that wait for an answer.
const maxOwed = 1 << 20

// drop notes that an answer will not come. The session's lock must be held.
func (s *session) drop(a *answer) {
	for i := range a.changes {
		a.changes[i].resolve(false)
	}
	if a.probe != nil {
		a.probe.failed, a.probe.done = true, true
	}
	if a.op != nil {
		s.out.dropped = append(s.out.dropped, a.op)
	}
}

func (s *session) ended() error {
	if s.closed.Load() {
		return errEnded
	}
	return nil
}

// await sends what is gathered and waits until cond holds. cond is called with
// the session's lock.
func (s *session) await(ctx context.Context, cond func() bool) error {
	s.mu.Lock()
	holds := cond()
	s.mu.Unlock()
	if holds && len(s.batch.answers) == 0 {
		return nil
	}
	if s.segmentOpen.Load() && !s.chain.open {
		s.send(appendMessage(nil, msgFlush)) // or the server keeps its answers until the Sync
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cond() {
		return nil
	}
	s.needServer(true)
	defer s.needServer(false)
	for !cond() {
		if s.closed.Load() || ctx.Err() != nil {
			return errEnded
		}
		s.changed.Wait()
	}
	return nil
}

// lookup finds what a name of the session stands for, nil for nothing.
func (s *session) lookup(n *names, name string) (*bound, error) {
	var b *bound
	err := error(nil)
	s.mu.Lock()
	b, settled := n.find(name)
	s.mu.Unlock()
	if !settled {
		err = s.await(s.ctx, func() bool { b, settled = n.find(name); return settled })
	}
	return b, err
}
