package postgres

// query handles a simple query: all of its statements are one operation, and are
// refused or forwarded as a whole.
func (s *session) query(frame []byte) error {
	if err := s.settleChain(); err != nil {
		return err
	}
	if err := s.settleWrites(); err != nil {
		return err
	}
	if s.refusing {
		return nil // the Parse before it was refused: the server would not look at this
	}
	text, err := decodeQuery(frame)
	if err != nil {
		return s.refuseCall(unreadable(err)) // the server would not come to drop the unnamed statement
	}
	if s.replication != "" {
		if ok, err := s.command(text, frame); ok || err != nil {
			return err
		}
	}
	sh, p := s.analyseWith(s.ctx, text, s.within)
	if p != nil {
		return s.refuseQuery(p)
	}
	changes, err := s.changesOf(sh)
	if err != nil {
		return err
	}
	named := len(changes) > 0
	// A query drops the unnamed statement, whether it fails or not.
	changes = append(changes, change{of: &s.statements, at: always})
	if !sh.empty() && s.hasUnnamedPortal() {
		changes = append(changes, change{of: &s.portals, at: always})
	}
	a := answer{want: wantQuery, changes: changes}
	if sh.empty() {
		// What the analysis took for nothing is forwarded as nothing.
		s.send(appendMessage(nil, msgQuery, []byte{0}), a)
		return s.endSegment()
	}
	op, p := s.judge(sh, text, nil, s.delivers(sh, nil))
	if p == nil {
		p = s.requested(op, frame)
	}
	if p != nil {
		return s.refuseQuery(p)
	}
	a.op = op
	inSteps := s.replication == "" && !s.unsynced && !named && len(sh.analysis.Statements) == 1 && op.revocable()
	if inSteps || len(frame) > fullBatch {
		if err := s.makeWay(op); err != nil {
			return err
		}
	}
	s.forwarded(op)
	if inSteps && !s.inFailed() {
		return s.queryInSteps(op, text)
	}
	if op.revocable() && !s.inFailed() {
		return s.queryInTransaction(op, frame, a)
	}
	op.stays.Store(op.shape.mayWrite())
	if err := s.sendWhole(frame, a); err != nil {
		return err
	}
	return s.endSegment()
}

// hasUnnamedPortal says whether there may be a portal that a Query replaces by its own,
// which is gone when it ends; one that fails may leave it behind (unknownPortal).
func (s *session) hasUnnamedPortal() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, settled := s.portals.find("")
	return b != nil || !settled
}

// inFailed says that the server will refuse what comes now, since the transaction has
// failed.
func (s *session) inFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.txStatus == txFailed && s.queue.n == 0
}

// endSegment notes that nothing that was assumed of names holds any longer.
func (s *session) endSegment() error {
	s.segmentOpen.Store(false)
	s.mu.Lock()
	s.statements.synced()
	s.portals.synced()
	s.mu.Unlock()
	return nil
}
