package postgres

// chain is the messages that make one operation of the extended protocol: Parse,
// Bind, Describe, Execute. They are gathered until Execute, or until something
// else comes, and judged as one. The server would not answer them before a Sync
// or Flush either, so nobody sees that they wait.
type chain struct {
	open          bool
	from          int // where it begins in the batch
	fromAnswer    int
	statementName string
	statement     *bound // that the chain parses, nil where Bind came first
	shape         *shape // of that statement
	portalName    string
	portal        *bound // that the chain binds
	described     bool   // the portal has been described
}

// extended handles a message of the extended protocol.
func (s *session) extended(kind byte, frame []byte) error {
	var err error
	switch kind {
	case msgSync:
		return s.sync(frame)
	case msgFunctionCall:
		return s.functionCall()
	case msgParse:
		err = s.parse(frame)
	case msgBind:
		err = s.bind(frame)
	case msgDescribe:
		err = s.describe(frame)
	case msgExecute:
		err = s.execute(frame)
	case msgClose:
		err = s.closeName(frame)
	case msgFlush:
		if err = s.settleChain(); err == nil && !s.refusing {
			s.send(frame)
		}
	}
	s.segmentOpen = true
	return err
}

func (s *session) parse(frame []byte) error {
	if err := s.settleChain(); err != nil || s.refusing {
		return err
	}
	m, err := decodeParse(frame)
	if err != nil {
		return err
	}
	sh, p := s.analyse(s.ctx, m.text)
	if p != nil {
		return s.refuseExtended(p)
	}
	b := &bound{text: m.text, types: m.types}
	if sh.empty() { // what the analysis took for nothing is forwarded as nothing
		b.text = ""
		frame = appendMessage(nil, msgParse, cstring(m.name), []byte{0, 0, 0})
	}
	s.openChain()
	s.chain.statementName, s.chain.statement, s.chain.shape = m.name, b, sh
	s.send(frame, answer{want: wantParse, changes: []change{{of: &s.statements, name: m.name, to: b}}})
	return nil
}

func (s *session) bind(frame []byte) error {
	m, err := decodeBind(frame, s.values)
	if err != nil {
		return err
	}
	s.values = m.values
	continues := s.chain.open && s.chain.portal == nil && s.chain.statementName == m.statement
	if !continues {
		if err := s.settleChain(); err != nil || s.refusing {
			return err
		}
	}
	b, err := s.lookup(&s.statements, m.statement)
	if err != nil {
		return err
	}
	if b == nil {
		return s.refuseExtended(failed(codeInvalidStatement, "prepared statement \"%s\" does not exist", m.statement))
	}
	sh := s.chain.shape
	if !continues {
		sh, err = s.statementShape(s.ctx, b)
		if p, refused := asProblem(err); refused {
			return s.refuseExtended(p)
		}
		if err != nil {
			return err
		}
		s.openChain()
	}
	if sh == nil {
		return s.refuseExtended(failed(codeInvalidStatement, "prepared statement \"%s\" is not known to the gateway", m.statement).
			withHint("Use EXECUTE."))
	}
	portal := &bound{text: b.text, shape: sh, params: s.parameters(&m, b)}
	s.chain.portalName, s.chain.portal = m.portal, portal
	s.send(frame, answer{want: wantBind, changes: []change{{of: &s.portals, name: m.portal, to: portal}}})
	return nil
}

func (s *session) describe(frame []byte) error {
	m, err := decodeNamed(frame)
	if err != nil {
		return err
	}
	if m.kind == 'S' {
		return s.describeStatement(m.name, frame)
	}
	if s.chain.open && s.chain.portal != nil && s.chain.portalName == m.name {
		s.chain.described = true
		s.send(frame, answer{want: wantDescribe, portal: true})
		return nil
	}
	if err := s.settleChain(); err != nil || s.refusing {
		return err
	}
	b, err := s.lookup(&s.portals, m.name)
	if err != nil {
		return err
	}
	if b == nil {
		return s.refuseExtended(noPortal(m.name))
	}
	s.send(frame, answer{want: wantDescribe, portal: true})
	return nil
}

func (s *session) describeStatement(name string, frame []byte) error {
	if !s.chain.open || s.chain.portal != nil || s.chain.statementName != name {
		if err := s.settleChain(); err != nil || s.refusing {
			return err
		}
	}
	b, err := s.lookup(&s.statements, name)
	if err != nil {
		return err
	}
	if b == nil {
		return s.refuseExtended(failed(codeInvalidStatement, "prepared statement \"%s\" does not exist", name))
	}
	s.send(frame, answer{want: wantDescribe, statement: b})
	return nil
}

func noPortal(name string) *problem {
	return failed(codeInvalidCursor, "portal \"%s\" does not exist", name)
}

// execute is where a statement is judged: with its text and its parameters,
// under the policy of this moment.
func (s *session) execute(frame []byte) error {
	m, err := decodeExecute(frame)
	if err != nil {
		return err
	}
	if !s.chain.open || s.chain.portal == nil || s.chain.portalName != m.name {
		if err := s.settleChain(); err != nil || s.refusing {
			return err
		}
		b, err := s.lookup(&s.portals, m.name)
		if err != nil {
			return err
		}
		if b == nil {
			return s.refuseExtended(noPortal(m.name))
		}
		s.openChain()
		s.chain.portalName, s.chain.portal = m.name, b
	}
	return s.runPortal(m.name, frame)
}

// runPortal judges and forwards the chain with the Execute that ends it.
func (s *session) runPortal(name string, frame []byte) error {
	b := s.chain.portal
	sh := b.shape
	if sh == nil {
		return s.refuseExtended(failed(codeInvalidCursor, "cursor \"%s\" is not known to the gateway", name).withHint("Use FETCH."))
	}
	if sh.empty() {
		return s.runNothing(frame)
	}
	op, p := s.judge(sh, b.text, b.params)
	if p != nil {
		return s.refuseExtended(p)
	}
	changes, err := s.changesOf(sh)
	if err != nil {
		return err
	}
	end := len(s.batch.out)
	s.send(frame)
	if p := s.requested(op, s.batch.out[s.chain.from:]); p != nil {
		return s.refuseExtended(p)
	}
	if len(op.masks) > 0 && !s.chain.described {
		// What the rows hold is asked for right before they come.
		s.batch.out = s.batch.out[:end]
		s.send(appendMessage(nil, msgDescribe, []byte{'P'}, cstring(name)), answer{want: wantDescribe, portal: true, hidden: true})
		s.send(frame)
	}
	s.send(nil, answer{want: wantExecute, changes: changes})
	s.forwarded(op)
	s.closeChain(op)
	return nil
}

// runNothing forwards the execution of a text that holds no statement, which was
// parsed as nothing.
func (s *session) runNothing(frame []byte) error {
	s.send(frame, answer{want: wantExecute})
	s.closeChain(nil)
	return nil
}

func (s *session) closeName(frame []byte) error {
	m, err := decodeNamed(frame)
	if err != nil {
		return err
	}
	if err := s.settleChain(); err != nil || s.refusing {
		return err
	}
	c := change{of: &s.statements, name: m.name}
	if m.kind == 'P' {
		c.of = &s.portals
	}
	s.send(frame, answer{want: wantClose, changes: []change{c}})
	return nil
}

func (s *session) sync(frame []byte) error {
	if err := s.settleChain(); err != nil {
		return err
	}
	refusing, readyNow := s.refusing, s.readyNow
	s.refusing, s.readyNow = false, false
	if refusing && readyNow {
		if err := s.endSegment(); err != nil {
			return err
		}
		return s.answerReady()
	}
	s.send(frame, answer{want: wantSync})
	return s.endSegment()
}

func (s *session) openChain() {
	s.chain = chain{open: true, from: len(s.batch.out), fromAnswer: len(s.batch.answers)}
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
		if b.shape != nil && !b.shape.empty() {
			op, p = s.judge(b.shape, b.text, b.params)
		}
	} else {
		if sh := s.chain.shape; sh != nil && !sh.empty() {
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

// functionCall refuses a call by OID: it names nothing that could be judged.
func (s *session) functionCall() error {
	if err := s.settleChain(); err != nil || s.refusing {
		return err
	}
	return s.refuseQuery(failed(codeInsufficient, "function calls by OID are refused: policy cannot judge them (function_call)").
		withHint("Call the function in a SELECT."))
}
