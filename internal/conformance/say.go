package conformance

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// say is message i of an answer in words.
func (a *answer) say(i int) string {
	if i > len(a.messages) || i == len(a.messages) && a.err == nil {
		return "nothing more"
	}
	if i == len(a.messages) {
		return "broken: " + a.err.Error()
	}
	switch m := a.messages[i].(type) {
	case *pgproto3.RowDescription:
		var columns []string
		for i := range m.Fields {
			columns = append(columns, string(m.Fields[i].Name))
		}
		return "columns " + strings.Join(columns, ", ")
	case *pgproto3.DataRow:
		var cells []string
		for _, cell := range m.Values {
			cells = append(cells, sayBytes(cell))
		}
		return fmt.Sprintf("row %d: %s", a.number(i), strings.Join(cells, ", "))
	case *pgproto3.CopyData:
		return fmt.Sprintf("copied %d: %s", a.number(i), sayBytes(m.Data))
	case *pgproto3.FunctionCallResponse:
		return "result " + sayBytes(m.Result)
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.ErrorResponse:
		return fmt.Sprintf("%s %s %s", m.Severity, m.Code, m.Message)
	case *pgproto3.NoticeResponse:
		return fmt.Sprintf("%s %s %s", m.Severity, m.Code, m.Message)
	case *pgproto3.ParameterStatus:
		return fmt.Sprintf("setting %s = %s", m.Name, m.Value)
	case *pgproto3.NotificationResponse:
		return fmt.Sprintf("notification %s: %s", m.Channel, m.Payload)
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	}
}

// number counts the messages of the kind of message i up to it.
func (a *answer) number(i int) int {
	n := 0
	for _, m := range a.messages[:i+1] {
		if fmt.Sprintf("%T", m) == fmt.Sprintf("%T", a.messages[i]) {
			n++
		}
	}
	return n
}

// sayBytes is a cell or a line as a person reads it.
func sayBytes(b []byte) string {
	const most = 40
	switch {
	case b == nil:
		return "NULL"
	case len(b) > most:
		return fmt.Sprintf("%.*q… (%d bytes)", most, b, len(b))
	}
	return fmt.Sprintf("%q", b)
}
