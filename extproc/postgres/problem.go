package postgres

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
)

// SQLSTATE codes (PostgreSQL, appendix A).
const (
	codeConnectionFailure   = "08006"
	codeProtocolViolation   = "08P01"
	codeFeatureNotSupported = "0A000"
	codeInvalidAuth         = "28000"
	codeInvalidPassword     = "28P01"
	codeInvalidEncoding     = "22021"
	codeInvalidParameter    = "22023"
	codeInvalidStatement    = "26000"
	codeInvalidCursor       = "34000"
	codeInvalidCatalog      = "3D000"
	codeUndefinedFunction   = "42883"
	codeInsufficient        = "42501"
	codeSyntax              = "42601"
	codeUndefinedObject     = "42704"
	codeTooManyConnections  = "53300"
	codeLimitExceeded       = "54000"
	codeTooComplex          = "54001"
	codeCanceled            = "57014"
	codeAdminShutdown       = "57P01"
	codeIdleTimeout         = "57P05"
	codeSystemError         = "58000"
	codeInternal            = "XX000"
)

// problem is an ErrorResponse or NoticeResponse of the gateway's own. As an
// error it is what the client is told.
type problem struct {
	severity string // "" means ERROR
	code     string
	message  string
	detail   string
	hint     string
	first    bool // the server says this before it looks at its transaction
	// Where in the server it was said, if the server said it.
	file, routine string
	line          int32
}

func (p *problem) Error() string { return p.message + " (" + p.code + ")" }

func failed(code, format string, args ...any) *problem {
	return &problem{code: code, message: fmt.Sprintf(format, args...)}
}

// missing is what the server says of a name that it does not have.
func missing(code, format string, args ...any) *problem {
	p := failed(code, format, args...)
	p.first = true
	return p
}

func fatal(code, format string, args ...any) *problem {
	return &problem{severity: "FATAL", code: code, message: fmt.Sprintf(format, args...)}
}

func (p *problem) withHint(format string, args ...any) *problem {
	p.hint = fmt.Sprintf(format, args...)
	return p
}

// denied puts a refusal of policy into the words of the protocol.
func denied(d *gate.Decision) *problem {
	return &problem{
		code:    codeInsufficient,
		message: "refused by policy: " + d.Reason(),
		detail:  "decision " + d.ID,
		hint:    d.Hint(),
	}
}

// append encodes the problem as an ErrorResponse.
func (p *problem) append(dst []byte) []byte {
	m := p.fields()
	return encode(dst, &m)
}

// appendNotice encodes the problem as a NoticeResponse.
func (p *problem) appendNotice(dst []byte) []byte {
	m := pgproto3.NoticeResponse(p.fields())
	return encode(dst, &m)
}

func (p *problem) fields() pgproto3.ErrorResponse {
	severity := p.severity
	if severity == "" {
		severity = "ERROR"
	}
	return pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: p.code,
		Message: printable(p.message), Detail: printable(p.detail), Hint: printable(p.hint),
		File: p.file, Line: p.line, Routine: p.routine,
	}
}

// printable takes out the byte that would end a field early.
func printable(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// encode appends a control message. The messages that the gateway makes itself
// are small and always encodable.
func encode(dst []byte, m interface {
	Encode([]byte) ([]byte, error)
},
) []byte {
	out, err := m.Encode(dst)
	if err != nil {
		return dst
	}
	return out
}
