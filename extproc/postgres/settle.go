package postgres

import (
	"context"
	"errors"
	"slices"
)

// Nothing goes to the server before its record is on disk. What came together from
// the client is judged one after the other, handed to the recorder in that order,
// and waited for together, so that a pipeline does not cost a write to the disk for
// each of its statements. Where a record fails, its operation and all behind it in
// the batch are refused, each as if it had been refused when it came.

// withdrawn is why what is being handled must be refused too: something before it
// in the batch could not be recorded.
type withdrawn struct{ problem *problem }

func (w *withdrawn) Error() string { return "taken back: " + w.problem.Error() }

// sendGathered is flush between two messages: what was refused has been told.
func (s *session) sendGathered() error {
	err := s.flush()
	if _, ok := errors.AsType[*withdrawn](err); !ok {
		return err
	}
	return s.ended()
}

// settle waits until all operations of the batch are on disk.
func (s *session) settle() error {
	for i := range s.batch.answers {
		op := s.batch.answers[i].op
		if op == nil {
			continue
		}
		if err := s.isRecorded(op); err != nil {
			p := s.unjudged(s.ctx, err)
			s.withdraw(i, p)
			return &withdrawn{p}
		}
	}
	return nil
}

// isRecorded waits for the record of an operation. After an error it was not
// recorded, and must not be sent.
func (s *session) isRecorded(op *operation) error {
	if op.recorded == nil {
		return nil
	}
	err := op.recorded(s.ctx)
	op.recorded = nil
	if err != nil {
		op.recorded = func(context.Context) error { return err }
	}
	return err
}

// makeWay prepares for an operation that is not sent with what was gathered: that
// goes first, and the operation is on disk.
func (s *session) makeWay(op *operation) error {
	err := s.flush()
	unrecorded := s.isRecorded(op)
	switch {
	case err != nil && unrecorded == nil:
		s.mu.Lock()
		s.drop(&answer{op: op})
		s.mu.Unlock()
	case err == nil && unrecorded != nil:
		return &withdrawn{s.unjudged(s.ctx, unrecorded)}
	}
	return err
}

// alsoRefused refuses a message that was being handled when something before it
// was withdrawn.
func (s *session) alsoRefused(kind byte, frame []byte, p *problem) error {
	switch {
	case kind == msgSync:
		return s.sync(frame)
	case s.skips():
		return nil
	case kind == msgQuery:
		return s.refuseQuery(p)
	case kind == msgFunctionCall:
		return s.refuseCall(p)
	}
	return s.refuseExtended(p)
}

// withdraw refuses what is in the batch from an answer on.
func (s *session) withdraw(from int, p *problem) {
	rest := slices.Clone(s.batch.answers[from:])
	out := slices.Clone(s.batch.out[rest[0].at:])
	start := rest[0].at
	clear(s.batch.answers[from:])
	s.batch.answers, s.batch.out, s.chain = s.batch.answers[:from], s.batch.out[:start], chain{}
	s.forget(rest)
	s.refusing = false
	for i := range rest {
		a, end := &rest[i], start+len(out)
		if i+1 < len(rest) {
			end = rest[i+1].at
		}
		switch own := out[a.at-start : end-start]; {
		case a.want == wantSync:
			s.refusing = false
			s.send(own, *a)
		case s.refusing, a.want == wantProbe: // a question of the gateway's own has failed
		case a.want == wantRefusal, a.want == wantRefusedQuery:
			s.refusing = a.want == wantRefusal
			s.send(own, *a)
		case a.want == wantQuery:
			s.poisonQuery(p)
		case a.want == wantCall:
			s.send(callPoison, answer{want: wantRefusedQuery, refusal: p})
		default:
			s.refusing = true
			s.poisonSegment(a.want == wantParse && a.changes[0].name == "", p)
		}
	}
}

// forget ends what answers have begun whose messages will not be sent.
func (s *session) forget(answers []answer) {
	for i := range answers {
		op := answers[i].op
		if op == nil {
			continue
		}
		if op == s.copying {
			s.copying = nil
		}
		if s.isRecorded(op) != nil { // there is nothing that could be completed
			answers[i].op = nil
			if op.timer != nil {
				op.timer.Stop()
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range answers {
		s.drop(&answers[i])
	}
}
