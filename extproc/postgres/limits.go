package postgres

// interrupt gives an operation an error of the gateway's own, which is delivered
// in place of the rest of its result, and asks the server to stop.
func (s *session) interrupt(op *operation, p *problem) {
	if op.breakOff(p) {
		s.cancelRunning()
	}
}

// breakOff gives an operation an error of the gateway's own, unless it has one.
func (o *operation) breakOff(p *problem) bool {
	if o.stays.Load() {
		p.message += "; what the text has committed stays"
	}
	return o.problem.CompareAndSwap(nil, p)
}

// cancelRunning asks the server to stop what it is at.
func (s *session) cancelRunning() {
	if s.deps.Dial == nil {
		return // what still comes is swallowed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return
	}
	s.cancelling = true
	s.cancels.Add(1)
	go func() {
		defer s.cancels.Done()
		if err := s.cancelStatement(s.ctx); err != nil {
			s.deps.Log.Warn("a statement could not be cancelled", "target", s.cfg.Target.Name, "session", s.gate.ID, "err", err)
		}
	}()
}

// overtime ends a statement that has run for too long. Without a way to cancel it
// the session ends.
func (s *session) overtime(op *operation, p *problem) {
	s.interrupt(op, p)
	if s.deps.Dial == nil {
		end := *p
		end.severity = "FATAL"
		s.end(&ending{reason: "a statement ran for too long", last: &end}, true)
	}
}
