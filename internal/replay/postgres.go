package replay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// postgres prints the server's messages as psql would show them.
func (p *printer) postgres(data []byte) {
	messages := pgproto3.NewFrontend(bytes.NewReader(data), io.Discard)
	messages.SetMaxBodyLen(max(len(data), 1)) // a length is not believed beyond what there is
	var t *table
	for {
		m, err := messages.Receive()
		if err != nil {
			p.table(t)
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				p.printf("              │ (what follows is not readable: %v)\n", err)
			}
			return
		}
		switch m := m.(type) {
		case *pgproto3.RowDescription:
			p.table(t)
			t = newTable(m, p.rows)
		case *pgproto3.DataRow:
			if t == nil {
				t = &table{limit: p.rows}
			}
			t.add(m)
		case *pgproto3.CommandComplete, *pgproto3.PortalSuspended, *pgproto3.EmptyQueryResponse:
			p.table(t)
			t = nil
		case *pgproto3.ErrorResponse:
			p.table(t)
			t = nil
			p.printf("              │ %s:  %s (%s)\n", m.Severity, clean(m.Message), m.Code)
		case *pgproto3.NoticeResponse:
			p.printf("              │ %s:  %s\n", m.Severity, clean(m.Message))
		case *pgproto3.CopyData:
			p.printf("              │ %s\n", strings.Join(lines(m.Data, p.rows), "\n              │ "))
		}
	}
}

// table collects rows until their widths are known.
type table struct {
	names []string
	types []pgproto3.FieldDescription
	cells [][]string
	limit int
	more  int
}

func newTable(m *pgproto3.RowDescription, limit int) *table {
	t := &table{limit: limit, types: append([]pgproto3.FieldDescription(nil), m.Fields...)}
	for _, f := range m.Fields {
		t.names = append(t.names, clean(string(f.Name)))
	}
	return t
}

func (t *table) add(m *pgproto3.DataRow) {
	if t.limit > 0 && len(t.cells) >= t.limit {
		t.more++
		return
	}
	row := make([]string, len(m.Values))
	for i, v := range m.Values {
		row[i] = t.cell(i, v)
	}
	t.cells = append(t.cells, row)
}

// cell shows a value; one in binary format by its type where that is known.
func (t *table) cell(i int, v []byte) string {
	if v == nil {
		return "∅"
	}
	if i < len(t.types) && t.types[i].Format == pgtype.BinaryFormatCode {
		types := pgtype.NewMap()
		if typ, ok := types.TypeForOID(t.types[i].DataTypeOID); ok {
			if decoded, err := typ.Codec.DecodeValue(types, typ.OID, pgtype.BinaryFormatCode, v); err == nil {
				return clean(fmt.Sprint(decoded))
			}
		}
		return `\x` + hex.EncodeToString(v)
	}
	return strings.ReplaceAll(clean(string(v)), "\n", "↵")
}

func (p *printer) table(t *table) {
	if t == nil {
		return
	}
	widths := make([]int, len(t.names))
	for i, n := range t.names {
		widths[i] = utf8.RuneCountInString(n)
	}
	for _, row := range t.cells {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	line := func(cells []string) {
		parts := make([]string, len(cells))
		for i, c := range cells {
			parts[i] = c + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c)))
		}
		p.printf("              │ %s\n", strings.TrimRight(strings.Join(parts, " | "), " "))
	}
	if len(t.names) > 0 {
		line(t.names)
	}
	for _, row := range t.cells {
		line(row)
	}
	if t.more > 0 {
		p.printf("              │ … %d more rows\n", t.more)
	}
}
