package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// judging is the context in which statements are judged one after the other, until
// one was held: then it is cancelled, maybe late, and the next has another.
type judging struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// judge takes a statement through the gate. It returns the operation when it may
// be forwarded once it is on disk (settle), and what the client is told when not. of is the portal whose rows it
// delivers, nil where there is none: what was approved of it is not held again.
func (s *session) judge(sh *shape, text string, params []any, of *bound) (*operation, *problem) {
	if s.doomed(sh) {
		return s.judgePrepared(sh, text)
	}
	if of == nil {
		of = &bound{}
	}
	op := s.operation(sh, text, params)
	if s.judging.ctx == nil {
		s.judging.ctx, s.judging.cancel = context.WithCancel(s.ctx)
	}
	ctx := s.judging.ctx
	watch := &clientWatch{s: s, cancel: s.judging.cancel}
	started := time.Now()
	decision, recorded, err := s.deps.Gate.Admit(ctx, s.gate, op, of.approval, watch.announce)
	if watch.stop() {
		s.judging.cancel()
		s.judging = judging{}
		s.mu.Lock()
		s.hold = nil
		s.mu.Unlock()
	}
	s.metrics.judging.Observe(time.Since(started).Seconds())
	if watch.unsent != nil { // it may have been approved all the same
		err = watch.unsent
	}
	if err != nil {
		return nil, s.unjudged(ctx, err)
	}
	s.metrics.judge(decision.Effect)
	if decision.Effect == gate.Allow {
		of.approval = decision.Approval
	}
	return s.decided(op.ID, sh, decision, decision.Effect == gate.Allow, recorded)
}

// doomed says that a statement comes in a failed transaction and does not end it:
// the server says so and does no more, so that nobody need be asked whether it may.
func (s *session) doomed(sh *shape) bool {
	if s.segmentOpen.Load() && !s.chain.first || containsAction(sh, sqlmeta.ActionTransaction) || containsAction(sh, sqlmeta.ActionUnknown) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.txStatus == txFailed && s.queue.n == 0 && (len(s.batch.answers) == 0 || s.chain.open && s.chain.fromAnswer == 0)
}

// judgePrepared judges a statement that the server is to parse and not to run
// yet. What policy holds waits when it runs.
func (s *session) judgePrepared(sh *shape, text string) (*operation, *problem) {
	op := s.operation(sh, text, nil)
	decision, recorded, err := s.deps.Gate.Prepare(s.ctx, s.gate, op)
	if err != nil {
		return nil, s.unjudged(s.ctx, err)
	}
	s.metrics.judge(decision.Effect)
	return s.decided(op.ID, sh, decision, decision.Effect != gate.Deny, recorded)
}

// decided makes the operation that goes on, or the refusal, which nobody is told
// before it is on disk.
func (s *session) decided(id string, sh *shape, d gate.Decision, goes bool, recorded gate.Receipt) (*operation, *problem) {
	var op *operation
	var p *problem
	if goes {
		op, p = s.allowed(id, sh, d)
	} else {
		p = denied(&d)
	}
	if p == nil {
		op.recorded = recorded
		return op, nil
	}
	if err := recorded(s.ctx); err != nil {
		p = s.unjudged(s.ctx, err)
	}
	return nil, p
}

func (s *session) operation(sh *shape, text string, params []any) *gate.Operation {
	sql := sh.sql
	sql.Parameters = params
	if params == nil {
		sql.Parameters = []any{}
	}
	s.mu.Lock()
	sql.InTransaction = s.txStatus != txIdle
	s.mu.Unlock()
	return &gate.Operation{
		ID: gate.NewID(), Protocol: "postgres", Action: sh.action, Text: text,
		Fingerprint: sh.fingerprint, Risks: sh.risks, SQL: &sql,
	}
}

// allowed makes the operation that is forwarded, unless the session itself
// cannot keep what policy asks for.
func (s *session) allowed(id string, sh *shape, d gate.Decision) (*operation, *problem) {
	op := &operation{id: id, shape: sh, decision: d, metadata: d.Record == gate.RecordMetadata}
	op.masks = activeMasks(d.Mask, sh.class, s.cfg.Target.Name)
	if c := sh.command; c != nil && c.streams() {
		op.metadata = true // it may be all of the database, again and again
		return s.refusedAfter(op, op.unstreamable())
	} else if c != nil {
		op.masks = nil // it returns nothing of a table
	}
	if len(op.masks) == 0 {
		return op, nil
	}
	op.rests = sh.rests()
	op.withhold = sh.opaque || sh.unknown || sh.code || touches(op.masks, sh) || quotes(op.masks, sh)
	p := op.unmaskable(&s.temporary)
	if p == nil {
		op.passages, p = s.passages(op)
	}
	if p == nil {
		p = s.planCopies(op)
	}
	return s.refusedAfter(op, p)
}

// refusedAfter records that an operation which policy has allowed is refused, if
// there is a problem.
func (s *session) refusedAfter(op *operation, p *problem) (*operation, *problem) {
	if p == nil {
		return op, nil
	}
	op.fail("refused", p.code, p.message)
	s.complete(op)
	return nil, p
}

// unmaskable says why what an operation delivers could not be masked.
func (o *operation) unmaskable(own *temporary) *problem {
	sh := o.shape
	rows := slices.Contains(sh.risks, sqlmeta.RiskFunctionCall) || slices.ContainsFunc(sh.analysis.Statements, func(st sqlmeta.Statement) bool { return returnsRows(&st) })
	switch {
	case escapes(o.masks, sh):
		return failed(codeInsufficient, "refused by policy: the statement would write masked values where they are not masked (masked_write)").
			withHint("Write constants or parameters, or columns that are not masked.").of(&o.decision)
	case sh.writes() && slices.ContainsFunc(sh.obscure, func(t sqlmeta.TableUse) bool { return !own.holds(&t) }):
		return failed(codeInsufficient, "refused by policy: the statement writes, and reads a relation that the gateway does not know, and columns of this target are masked (masked_write)").
			withHint("Read tables and views that everybody sees, or temporary tables.").of(&o.decision)
	case sh.unsure && (sh.writes() || sh.ddl) && sh.reads():
		return failed(codeInsufficient, "refused by policy: the statement writes what it reads, it is not certain what its names lead to, and columns of this target are masked (masked_write)").
			withHint("Send it alone, after the answer to what was sent before it; in a transaction of its own, or of isolation level READ COMMITTED.").of(&o.decision)
	case sh.opaque && rows && !sh.misspelt():
		return failed(codeInsufficient, "refused by policy: the source of a result column could not be traced, and columns of this target are masked (opaque)").
			withHint("Select columns of tables by name, without dynamic SQL or functions that the gateway does not know.").of(&o.decision)
	}
	return nil
}

// copiesMasked says that COPY data of an operation may hold what is masked.
func (o *operation) copiesMasked() bool {
	return len(o.masks) > 0 && (o.shape.opaque || o.shape.unknown || touches(o.masks, o.shape))
}

// misspelt says that a statement names a relation or column that is not known.
// The server's own error says so best; should it have none, the rows stay here.
func (s *shape) misspelt() bool {
	return slices.Contains(s.risks, sqlmeta.RiskUnknownRelation) || slices.Contains(s.risks, sqlmeta.RiskUnknownColumn)
}

// returnsRows says that a statement returns rows: by its nature, or because of
// RETURNING. What such a statement has written stays when its rows are withheld, so
// that it must be refused before.
func returnsRows(st *sqlmeta.Statement) bool {
	switch st.Action {
	case sqlmeta.ActionSelect, sqlmeta.ActionExecute, sqlmeta.ActionFetch:
		return true
	case sqlmeta.ActionInsert, sqlmeta.ActionUpdate, sqlmeta.ActionDelete, sqlmeta.ActionMerge:
		return st.Outputs != nil || st.Opaque
	}
	return false
}

func (p *problem) of(d *gate.Decision) *problem {
	p.detail = "decision " + d.ID
	return p
}

// unjudged is what the client is told when there is no verdict.
func (s *session) unjudged(ctx context.Context, err error) *problem {
	var w *withdrawn
	switch {
	case errors.As(err, &w):
		return w.problem
	case errors.Is(err, gate.ErrRecord) && ctx.Err() == nil:
		s.deps.Log.ErrorContext(ctx, "evidence could not be recorded", "session", s.gate.ID, "err", err)
		return failed(codeSystemError, "the statement was not sent: the gateway could not record it").withHint("Try again later.")
	case ctx.Err() != nil:
		return failed(codeCanceled, "canceling statement due to user request")
	}
	s.deps.Log.ErrorContext(ctx, "a statement could not be judged", "session", s.gate.ID, "err", err)
	return failed(codeSystemError, "the statement was not sent: it could not be judged")
}

// requested records the messages that carry an operation, before they are
// forwarded.
func (s *session) requested(op *operation, messages []byte) *problem {
	if op.metadata {
		return nil
	}
	if err := s.deps.Gate.Payload(s.ctx, s.gate, op.id, gate.RequestStream, messages); err != nil {
		return s.unjudged(s.ctx, err)
	}
	return nil
}

// forwarded notes what a forwarded operation means for those that follow.
func (s *session) forwarded(op *operation) {
	sh := op.shape
	s.noteOwn(sh)
	if sh.settings || sh.ddl || sh.runsCode() || s.settingsInTx || s.tempsInTx {
		s.noteSettings(sh)
	}
	if sh.copies {
		s.copying = op
	}
	if containsAction(sh, sqlmeta.ActionCall) {
		op.stays.Store(true) // a procedure commits as it likes
	}
	if op.withhold {
		s.mu.Lock()
		s.maskedInTx = true
		s.mu.Unlock()
	}
	if given := unmasked(op.masks, sh); len(given) > 0 {
		s.gate.Observe(given)
	}
	if t := op.decision.Limits.Timeout; t > 0 {
		op.timer = time.AfterFunc(t, func() {
			s.overtime(op, failed(codeCanceled, "the statement took longer than policy allows (%s)", t).of(&op.decision))
		})
	}
}
