package conformance

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// Verdict is what a shape shows of the gateway.
type Verdict string

// The verdicts, the worst last.
const (
	Masked  Verdict = "masked"  // answered, and nothing shows
	Refused Verdict = "refused" // not answered, and nothing shows
	Same    Verdict = "same"    // benign, and answered as the server does
	Changed Verdict = "changed" // benign, and not answered as the server does
	Broken  Verdict = "broken"  // the connection or a value's type broke
	Oracle  Verdict = "oracle"  // no value shows, but the answer depends on it
	Derived Verdict = "derived" // a part or a transformation of a value shows
	Leak    Verdict = "leak"    // a value shows
)

// Verdicts are all of them, in the order of a report.
var Verdicts = []Verdict{Masked, Refused, Same, Changed, Broken, Oracle, Derived, Leak}

// Bad says whether a verdict is against the gateway.
func (v Verdict) Bad() bool { return v != Masked && v != Refused && v != Same }

// judge says what a pair of answers shows; right is nil where that side was not played.
// direct is the server's own answer to a benign shape.
func judge(s *Shape, seen []sighting, left, right, direct *answer) (Verdict, string) {
	if v, why := sighted(seen); v != "" {
		return v, why
	}
	if why := broken(left); why != "" {
		return Broken, why
	}
	if s.Benign {
		if why := differ(left, direct); why != "" && !s.Volatile {
			return Changed, why
		}
		return Same, ""
	}
	alike := right == nil || left.refused() && right.refused() && left.firstError() == right.firstError()
	if !s.Volatile && !alike {
		if why := differ(left, right); why != "" {
			return Oracle, why
		}
	}
	if left.refused() {
		return Refused, left.firstError()
	}
	return Masked, ""
}

func sighted(seen []sighting) (Verdict, string) {
	var texts []string
	verdict := Verdict("")
	for _, one := range seen {
		if one.whole {
			verdict = Leak
		} else if verdict == "" {
			verdict = Derived
		}
		texts = append(texts, one.Column+" "+one.As)
	}
	const most = 4
	if len(texts) > most {
		texts = append(texts[:most], fmt.Sprintf("and %d more", len(texts)-most))
	}
	return verdict, strings.Join(texts, ", ")
}

// types know how values of PostgreSQL's own types are written.
var types = pgtype.NewMap()

// broken says what a driver could not read.
func broken(a *answer) string {
	if a.err != nil {
		if errors.Is(a.err, io.EOF) || errors.Is(a.err, io.ErrUnexpectedEOF) {
			return "the connection was closed"
		}
		if a.silent() {
			return fmt.Sprintf("no answer within %s", answerWithin)
		}
		return a.err.Error()
	}
	var fields []pgproto3.FieldDescription
	for _, m := range a.messages {
		switch m := m.(type) {
		case *pgproto3.RowDescription:
			fields = m.Fields
		case *pgproto3.CommandComplete:
			fields = nil
		case *pgproto3.DataRow:
			if fields != nil && len(fields) != len(m.Values) {
				return fmt.Sprintf("a row of %d values under %d columns", len(m.Values), len(fields))
			}
			for i := range fields {
				if why := unreadable(fields[i], m.Values[i]); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

// bySetting are types whose text depends on settings of the session.
var bySetting = map[uint32]bool{
	pgtype.ByteaOID: true, pgtype.DateOID: true, pgtype.TimestampOID: true, pgtype.TimestamptzOID: true, pgtype.IntervalOID: true,
	pgtype.DaterangeOID: true,
}

func unreadable(f pgproto3.FieldDescription, cell []byte) string {
	t, known := types.TypeForOID(f.DataTypeOID)
	if !known || cell == nil || f.Format == pgproto3.TextFormat && bySetting[f.DataTypeOID] {
		return ""
	}
	if _, err := t.Codec.DecodeValue(types, f.DataTypeOID, f.Format, cell); err != nil {
		return fmt.Sprintf("column %s is no %s: %v", f.Name, t.Name, err)
	}
	return ""
}
