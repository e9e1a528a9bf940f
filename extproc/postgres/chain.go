package postgres

// chain is the messages that make one operation of the extended protocol: Parse,
// Bind, Describe, Execute. They are gathered until Execute, or until something
// else comes, and judged as one. The server would not answer them before a Sync
// or Flush either, so nobody sees that they wait.
type chain struct {
	open          bool
	first         bool // nothing has been sent since the last Sync
	from          int  // where it begins in the batch
	fromAnswer    int
	statementName string
	statement     *bound // that the chain parses, nil where Bind came first
	shape         *shape // of that statement
	portalName    string
	portal        *bound // that the chain binds
	described     bool   // the portal has been described
	typed         bool   // the statement has
}

func (s *session) openChain() {
	s.chain = chain{open: true, first: !s.segmentOpen.Load(), from: len(s.batch.out), fromAnswer: len(s.batch.answers)}
}

// closeChain makes all answers of the chain belong to its operation, and lets
// its messages go.
func (s *session) closeChain(op *operation) {
	for i := s.chain.fromAnswer; i < len(s.batch.answers); i++ {
		s.batch.answers[i].op = op
	}
	s.chain = chain{}
}

// cutChain takes the messages of the chain back.
func (s *session) cutChain() {
	if !s.chain.open {
		return
	}
	s.batch.out = s.batch.out[:s.chain.from]
	s.mu.Lock()
	for i := s.chain.fromAnswer; i < len(s.batch.answers); i++ {
		s.drop(&s.batch.answers[i])
		s.batch.answers[i] = answer{}
	}
	s.mu.Unlock()
	s.batch.answers = s.batch.answers[:s.chain.fromAnswer]
	s.chain = chain{}
}

// settleChain judges a chain that is not executed now. Where it is refused, the
// session is refusing afterwards.
func (s *session) settleChain() error {
	if !s.chain.open {
		return nil
	}
	var op *operation
	var p *problem
	if b := s.chain.portal; b != nil {
		// Binding plans, and planning may call functions: it counts as running.
		if sh := b.shape.under(s.deps.Classification()); sh != nil && !sh.empty() {
			op, p = s.judge(sh, b.text, b.params, b)
		}
	} else {
		if sh := s.chain.shape.under(s.deps.Classification()); sh != nil && !sh.empty() {
			op, p = s.judgePrepared(sh, s.chain.statement.text)
		}
	}
	if p == nil && op != nil {
		p = s.requested(op, s.batch.out[s.chain.from:])
	}
	if p != nil {
		return s.refuseExtended(p)
	}
	s.batch.answers[s.chain.lastOf(s.batch.answers)].last = true
	s.closeChain(op)
	return nil
}

// lastOf is the answer that ends an operation which is not executed: BindComplete,
// or ParseComplete where nothing is bound.
func (c *chain) lastOf(answers []answer) int {
	at := c.fromAnswer
	for i := c.fromAnswer; i < len(answers); i++ {
		if answers[i].want == wantBind {
			at = i
		}
	}
	return at
}
