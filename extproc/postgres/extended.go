package postgres

import (
	"errors"
	"strings"
)

// extended handles a message of the extended protocol.
func (s *session) extended(kind byte, frame []byte) error {
	var err error
	if s.replication != "" && kind != msgSync && kind != msgFlush {
		return s.refuseInReplication(kind)
	}
	switch kind {
	case msgSync:
		return s.sync(frame)
	case msgFunctionCall:
		return s.functionCall(frame)
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
		return err // it begins nothing that would need a Sync
	}
	if wrong, ok := errors.AsType[malformed](err); ok {
		err = s.refuseForm(wrong)
	}
	s.segmentOpen.Store(true)
	s.unsynced = true
	return err
}

// refuseForm answers a message whose fields cannot be read. Nobody can tell what it
// is about, so it is never forwarded; what came before it stands, up to the error.
func (s *session) refuseForm(wrong malformed) error {
	if err := s.settleChain(); err != nil || s.refusing {
		return err
	}
	return s.refuseExtended(unreadable(wrong))
}

// unreadable is what the server says of a message before it looks at anything else.
func unreadable(err error) *problem { return missing(codeProtocolViolation, "%s", err) }

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
	s.sure(b, sh)
	if sh.empty() && strings.Trim(m.text, " \t\r\n;") != "" { // what the analysis took for nothing is forwarded as nothing
		b.text = ""
		frame = appendMessage(nil, msgParse, cstring(m.name), []byte{0, 0, 0})
	}
	if err := s.begin(sh); err != nil || s.refusing {
		return err
	}
	s.chain.statementName, s.chain.statement, s.chain.shape = m.name, b, sh
	s.send(frame, answer{want: wantParse, changes: []change{{of: &s.statements, name: m.name, to: b}}})
	return nil
}

func (s *session) bind(frame []byte) error {
	m, wrong := decodeBind(frame, s.values)
	if wrong != nil && !m.named {
		return wrong
	}
	s.values = m.values
	continues := wrong == nil && s.chain.open && s.chain.portal == nil && s.chain.statementName == m.statement
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
		return s.refuseExtended(noStatement(m.statement))
	}
	if wrong != nil { // the server looks for the statement before it reads on
		return wrong
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
		if err := s.begin(sh); err != nil || s.refusing {
			return err
		}
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
	// A chain holds each message once, or it would grow as long as a client likes.
	if s.chain.open && s.chain.portal != nil && s.chain.portalName == m.name && !s.chain.described {
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
		return s.unknownPortal(m.name, false)
	}
	s.send(frame, answer{want: wantDescribe, portal: true})
	return nil
}

// unknownPortal refuses a message about a portal that there is not. A failed
// transaction may have the portal of the Query that failed, so there the server says
// what it has to say of it. It is only ever asked to describe it: the plan of such a
// portal is gone, and PostgreSQL 18 that is to execute it may crash.
func (s *session) unknownPortal(name string, executes bool) error {
	aborted := false
	err := s.await(s.ctx, func() bool {
		aborted = s.txStatus == txFailed
		return s.queue.n == 0
	})
	switch {
	case err != nil:
		return err
	case s.skips(): // what was waited for has failed
		return nil
	case !aborted:
		return s.refuseExtended(noPortal(name))
	}
	s.send(appendMessage(nil, msgDescribe, []byte{'P'}, cstring(name)), answer{want: wantDescribe, portal: true, hidden: executes})
	if executes { // a portal without rows can be described: what comes next fails, as all does there
		return s.refuseExtended(failed(codeInvalidCursor, "portal \"%s\" does not exist", name))
	}
	return nil
}

func (s *session) describeStatement(name string, frame []byte) error {
	continues := s.chain.open && s.chain.portal == nil && s.chain.statementName == name && !s.chain.typed
	if !continues {
		if err := s.settleChain(); err != nil || s.refusing {
			return err
		}
	}
	b, err := s.lookup(&s.statements, name)
	if err != nil {
		return err
	}
	if b == nil {
		return s.refuseExtended(noStatement(name))
	}
	s.chain.typed = continues
	s.send(frame, answer{want: wantDescribe, statement: b})
	return nil
}

func noStatement(name string) *problem {
	if name == "" {
		return missing(codeInvalidStatement, "unnamed prepared statement does not exist")
	}
	return missing(codeInvalidStatement, "prepared statement \"%s\" does not exist", name)
}

func noPortal(name string) *problem {
	return missing(codeInvalidCursor, "portal \"%s\" does not exist", name)
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
			return s.unknownPortal(m.name, true)
		}
		if err := s.begin(b.shape); err != nil || s.refusing {
			return err
		}
		s.chain.portalName, s.chain.portal = m.name, b
	}
	return s.runPortal(m.name, frame)
}

// runPortal judges and forwards the chain with the Execute that ends it.
func (s *session) runPortal(name string, frame []byte) error {
	b := s.chain.portal
	sh := b.shape.under(s.deps.Classification())
	if sh == nil {
		return s.refuseExtended(failed(codeInvalidCursor, "cursor \"%s\" is not known to the gateway", name).withHint("Use FETCH."))
	}
	if sh.empty() {
		return s.runNothing(frame)
	}
	op, p := s.judge(sh, b.text, b.params, s.delivers(sh, b))
	if p != nil {
		return s.refuseExtended(p)
	}
	changes, err := s.changesOf(sh)
	if err != nil {
		return err
	}
	for i := range changes {
		if changes[i].of == &s.portals { // the portal that runs CLOSE ALL stays
			changes[i].keep = &name
		}
	}
	op.portal = b
	if op.revocable() {
		s.writes = append(s.writes, op)
	}
	end := len(s.batch.out)
	s.send(frame)
	p = s.requested(op, s.batch.out[s.chain.from:])
	s.batch.out = s.batch.out[:end]
	if p != nil {
		return s.refuseExtended(p)
	}
	if len(op.masks) > 0 && !s.chain.described {
		// What the rows hold is asked for right before they come.
		s.send(appendMessage(nil, msgDescribe, []byte{'P'}, cstring(name)), answer{want: wantDescribe, portal: true, hidden: true})
	}
	s.send(frame, answer{want: wantExecute, changes: changes})
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
	if err := s.settleWrites(); err != nil {
		return err
	}
	refusing, readyNow := s.refusing, s.readyNow
	s.refusing, s.readyNow, s.unsynced = false, false, false
	if refusing && readyNow {
		if err := s.endSegment(); err != nil {
			return err
		}
		return s.answerReady()
	}
	s.send(frame, answer{want: wantSync})
	return s.endSegment()
}
