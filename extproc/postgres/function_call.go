package postgres

import (
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// functionCall judges and forwards a call of a function by its OID (PostgreSQL,
// "Function call"; libpq's lo_… functions use it). To policy it is the SELECT that
// would call the same function, with the action "call" and a risk of its own, so
// what is refused of the function in a statement is refused here too.
func (s *session) functionCall(frame []byte) error {
	if err := s.settleChain(); err != nil || s.refusing {
		return err
	}
	if err := s.settleWrites(); err != nil || s.refusing {
		return err
	}
	m, err := decodeFunctionCall(frame)
	if err != nil {
		return s.refuseCall(failed(codeProtocolViolation, "%s", err))
	}
	text, sh, types, p := s.calledShape(m.oid, len(m.arguments.values))
	if p != nil {
		return s.refuseCall(p)
	}
	op, p := s.judge(sh, text, s.parameters(&m.arguments, &bound{types: types}), nil)
	if p == nil {
		p = s.requested(op, frame)
	}
	if p != nil {
		return s.refuseCall(p)
	}
	// What is masked was refused, so nothing of the result is (see unmaskable).
	op.plan = &plan{passes: true}
	s.forwarded(op)
	s.send(frame, answer{want: wantCall, op: op})
	return s.endSegment()
}

// calledShape finds out which function an OID is, and says what calling it does.
func (s *session) calledShape(oid uint32, arguments int) (text string, sh *shape, types []uint32, p *problem) {
	catalog, err := s.catalogNow(s.ctx)
	f, known := functionOf(catalog, oid)
	if err == nil && !known && s.mayAsk() {
		catalog, err = s.catalogAnew(s.ctx)
		f, known = functionOf(catalog, oid)
	}
	switch {
	case err != nil:
		return "", nil, nil, s.unanalysed(s.ctx, err)
	case !known:
		return "", nil, nil, failed(codeUndefinedFunction, "function with OID %d does not exist", oid)
	}
	text = callText(f, arguments)
	an, err := s.deps.Analyzer.Analyze(s.ctx, text, catalog, nil)
	if err == nil {
		sh, err = s.guarded(an, s.deps.Classification(), catalog, s.resolve)
	}
	if err == nil && len(sh.sql.Statements) != 1 {
		err = errors.New("a call of one function is not one statement")
	}
	if err != nil {
		return "", nil, nil, s.unanalysed(s.ctx, err)
	}
	sh.action, sh.sql.Statements[0].Action = sqlmeta.ActionCall, sqlmeta.ActionCall
	sh.risks = append(sh.risks, sqlmeta.RiskFunctionCall)
	return text, sh, f.Arguments, nil
}

func functionOf(catalog sqlmeta.Catalog, oid uint32) (sqlmeta.Function, bool) {
	if c, ok := catalog.(sqlmeta.Functions); ok {
		return c.Function(oid)
	}
	return sqlmeta.Function{}, false
}

// callText is the statement that calls a function as a FunctionCall does.
func callText(f sqlmeta.Function, arguments int) string {
	params := make([]string, arguments)
	for i := range params {
		params[i] = "$" + strconv.Itoa(i+1)
	}
	return "SELECT " + pgx.Identifier{f.Schema, f.Name}.Sanitize() + "(" + strings.Join(params, ", ") + ")"
}

// refuseCall answers a FunctionCall, or a Query that cannot be read, with an error.
// Unlike a query it leaves the unnamed statement alone.
func (s *session) refuseCall(p *problem) error {
	s.cutChain()
	if s.alone() {
		return s.toClient(readyIdle(p.append(nil)))
	}
	s.send(callPoison, answer{want: wantRefusedQuery, refusal: p})
	return s.endSegment()
}

// callPoison calls the function with OID 0, which never exists: see poison.
var callPoison = appendMessage(nil, msgFunctionCall, make([]byte, 4+2+2+2))

// callMessage is FunctionCall. Its arguments are encoded as those of Bind.
type callMessage struct {
	oid       uint32
	arguments bindMessage
}

func decodeFunctionCall(frame []byte) (m callMessage, err error) {
	c := body(frame)
	m.oid = c.uint32()
	m.arguments.formats = c.bytes(2 * int(c.uint16()))
	m.arguments.values = c.values(nil)
	c.uint16() // the format of the result
	return m, c.end()
}
