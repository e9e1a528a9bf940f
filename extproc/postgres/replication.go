package postgres

import (
	"math"
	"strings"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// On a connection for replication a Query is a replication command where its first
// word is one, else SQL, which physical replication does not have; the extended
// protocol is refused (walsender.c, exec_replication_command).

// command handles a Query that may be a replication command. It is not ok for SQL.
func (s *session) command(text string, frame []byte) (ok bool, err error) {
	if limit := s.cfg.MaxStatement; len(text) > limit {
		return true, s.refuseQuery(tooLong(len(text), limit))
	}
	c, err := parseCommand(text)
	switch {
	case err != nil:
		return true, s.refuseQuery(failed(codeSyntax, "%s", err))
	case c == nil && s.replication == physical:
		return true, s.refuseQuery(failed(codeFeatureNotSupported, "cannot execute SQL commands in WAL sender for physical replication"))
	case c == nil:
		return false, nil
	}
	s.mu.Lock()
	certain := s.queue.n == 0 // no change of a setting is on its way
	s.mu.Unlock()
	if p := s.readable(text, certain); p != nil {
		return true, s.refuseQuery(p)
	}
	sh := c.shape(text, s.cfg.Target.Name, s.deps.Classification())
	op, p := s.judge(sh, text, nil, nil)
	if p == nil {
		p = s.requested(op, frame)
	}
	if p != nil {
		return true, s.refuseQuery(p)
	}
	if len(frame) > fullBatch {
		if err := s.makeWay(op); err != nil {
			return true, err
		}
	}
	s.forwarded(op)
	if err := s.sendWhole(frame, answer{want: wantQuery, op: op}); err != nil {
		return true, err
	}
	return true, s.endSegment()
}

// shape puts a replication command into the words of the gate: an operation whose
// action is "replication" and whose function is the command.
func (c *command) shape(text, target string, class Classification) *shape {
	sh := &shape{
		action: sqlmeta.ActionReplication, fingerprint: c.name, risks: c.risks(), command: c,
		sql: gate.SQL{
			Statements: []gate.Statement{{Action: sqlmeta.ActionReplication, Text: text}},
			Tables:     []gate.Table{}, Columns: []gate.Column{}, Functions: []string{c.name},
		},
		results: []result{{}}, class: class, target: target,
		copies:   c.name == startStream || c.name == uploadManifest,
		opaque:   c.streams(),
		analysis: &sqlmeta.Analysis{},
	}
	if c.streams() {
		sh.classes = class.Classes(target)
	}
	return sh
}

// risks are those of a command beyond being one.
func (c *command) risks() []string {
	risks := []string{sqlmeta.RiskReplication}
	if c.streams() {
		risks = append(risks, sqlmeta.RiskOpaque)
	}
	// A backup may be written on the server, or by a program of its own.
	if to, there := c.options["target"]; c.name == baseBackup && there && to != "client" {
		risks = append(risks, sqlmeta.RiskFileAccess, sqlmeta.RiskProgram)
	}
	if strings.ContainsAny(c.plugin, `/\`) { // a library by its path
		risks = append(risks, sqlmeta.RiskFileAccess)
	}
	return risks
}

// unstreamable says why what a command streams cannot be delivered as policy asks
// for it.
func (o *operation) unstreamable() *problem {
	name := o.shape.command.name
	switch {
	case len(o.masks) > 0:
		return failed(codeInsufficient, "refused by policy: %s would deliver columns that are masked, and it cannot be masked (replication_masked)", name).
			withHint("Read the tables with SELECT or COPY.").of(&o.decision)
	case o.decision.Limits.MaxRows > 0:
		return failed(codeInsufficient, "refused by policy: rows are limited (max_rows), and in what %s delivers they cannot be counted (replication_rows)", name).
			withHint("Read the tables with SELECT or COPY.").of(&o.decision)
	}
	return nil
}

// beginStream handles the announcement of what a replication command sends or
// takes. Its messages are no rows.
func (s *session) beginStream(kind byte, op *operation) error {
	switch name := op.shape.command.name; {
	case kind == msgCopyBothResponse && name == startStream, kind == msgCopyOutResponse && name == baseBackup:
		op.copyOut, op.notRows = true, math.MaxInt
	case kind == msgCopyInResponse && name == uploadManifest:
	default:
		return unexpected(kind)
	}
	return nil
}

// refuseInReplication answers a message that a connection for replication does not
// have.
func (s *session) refuseInReplication(kind byte) error {
	p := notInReplication(kind)
	if kind == msgFunctionCall {
		if s.refusing {
			return nil
		}
		return s.refuseCall(p)
	}
	err := s.refuseExtended(p)
	s.segmentOpen.Store(true)
	s.unsynced = true
	return err
}

// notInReplication is what the server says of a message of the extended protocol,
// and of FunctionCall.
func notInReplication(kind byte) *problem {
	if kind == msgFunctionCall {
		return failed(codeProtocolViolation, "fastpath function calls not supported in a replication connection")
	}
	return failed(codeProtocolViolation, "extended query protocol not supported in a replication connection")
}
