package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/mask"
)

// The text of an error may hold a value that a mask hides: SELECT ssn::int says
// which one is no integer. So where a statement uses what is masked, its errors
// and notices reach the client with their SQLSTATE and generic words, and the
// original is sealed with the evidence.

// withhold delivers an ErrorResponse or NoticeResponse in generic words.
func (s *session) withhold(frame []byte, op *operation) {
	var m pgproto3.ErrorResponse
	if err := m.Decode(frame[headerLen:]); err != nil {
		return
	}
	s.seal(frame, op)
	generic := pgproto3.ErrorResponse{
		Severity: m.Severity, SeverityUnlocalized: m.SeverityUnlocalized, Code: m.Code,
		Message: "the text of this message is withheld: the statement uses masked columns",
		Detail:  "decision " + op.decision.ID,
	}
	if frame[0] == msgNotice {
		notice := pgproto3.NoticeResponse(generic)
		s.put(op, func(dst []byte) []byte { return encode(dst, &notice) })
		return
	}
	s.put(op, func(dst []byte) []byte { return encode(dst, &generic) })
}

// harmless says whether the text of an error speaks of the statement, not of
// data. The parser's own errors do: they have class 42 and point into the
// statement. While it runs, an error of that class may hold a value
// (ssn::regclass), but then it points nowhere, or comes from within a function.
func harmless(m *pgproto3.ErrorResponse) bool {
	return strings.HasPrefix(m.Code, "42") && m.Position > 0 && m.InternalQuery == "" && m.Where == ""
}

// errorText is the server's error as the outcome records it.
func errorText(m *pgproto3.ErrorResponse, withheld bool, op *operation) string {
	switch {
	case withheld && !harmless(m):
		return "withheld: the statement uses masked columns"
	case op.passages != nil:
		return seekString(op.passages, m.Message, &mask.Found{})
	}
	return m.Message
}
