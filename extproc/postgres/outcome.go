package postgres

import (
	"context"
	"time"
)

// completeAll records how operations ended.
func (s *session) completeAll() {
	s.mu.Lock()
	dropped := s.out.dropped
	s.out.dropped = nil
	s.mu.Unlock()
	for _, op := range dropped {
		if !op.done {
			op.fail("aborted", "", "the server did not get to it")
			s.conclude(op)
		}
	}
	for _, op := range s.out.completed {
		s.complete(op)
	}
	clear(s.out.completed)
	s.out.completed = s.out.completed[:0]
}

// complete hands an outcome to the recorder.
func (s *session) complete(op *operation) {
	ctx := s.ctx
	if ctx.Err() != nil { // what has happened is recorded all the same
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), linger)
		defer cancel()
	}
	if err := s.deps.Gate.Complete(ctx, s.gate, op.id, op.outcome); err != nil {
		s.deps.Log.Error("an outcome could not be recorded", "session", s.gate.ID, "operation", op.id, "err", err)
	}
}

// conclude fixes the outcome of an operation, once.
func (s *session) conclude(op *operation) {
	if op == nil || op.done {
		return
	}
	op.done = true
	if op.timer != nil {
		op.timer.Stop()
	}
	op.endPlan()
	o := &op.outcome
	if o.Status == "" {
		o.Status = "ok"
	}
	o.Rows, o.Bytes = op.rows, op.bytes
	if op.portal != nil {
		op.portal.rows += op.rows
		op.portal.bytes += op.bytes
	}
	if !op.started.IsZero() {
		o.Millis = float64(time.Since(op.started).Microseconds()) / 1000
	}
	if op.bytes > 0 {
		o.Digest = s.out.sum()
	}
	s.metrics.rows.Add(float64(op.rows))
	s.out.heard.note(op, s.cfg.Target.Name)
	if op.withhold {
		s.out.masked = op
	}
	for class, n := range o.Masked {
		s.metrics.masked.WithLabelValues(class).Add(float64(n))
	}
	for name, n := range o.Detected {
		s.metrics.detected.WithLabelValues(name).Add(float64(n))
	}
	s.out.completed = append(s.out.completed, op)
}

// abandon records the operations that the end of the session has cut off.
func (s *session) abandon() {
	s.mu.Lock()
	for s.queue.n > 0 {
		a := s.queue.pop()
		s.drop(&a)
	}
	for i := range s.batch.answers {
		s.drop(&s.batch.answers[i])
	}
	if s.changes != nil {
		s.changes()
		s.changes = nil
	}
	cut := s.out.dropped
	s.out.dropped = nil
	s.mu.Unlock()
	for _, op := range cut {
		if !op.done {
			op.fail("aborted", "", "the session ended")
			s.conclude(op)
		}
	}
	s.completeAll()
}
