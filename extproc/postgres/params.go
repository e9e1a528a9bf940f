package postgres

import (
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// parameters are the values of a Bind as policy and evidence see them: texts, and
// nil for NULL. A binary value whose type is not known is shown as hex.
func (s *session) parameters(m *bindMessage, b *bound) []any {
	if len(m.values) == 0 {
		return nil
	}
	s.mu.Lock()
	types := b.types
	s.mu.Unlock()
	params := make([]any, len(m.values))
	for i, v := range m.values {
		switch {
		case v == nil:
		case m.format(i) == pgtype.TextFormatCode:
			params[i] = textValue(v)
		case i < len(types):
			params[i] = s.binaryValue(types[i], v)
		default:
			params[i] = hexValue(v)
		}
	}
	return params
}

func textValue(v []byte) string {
	if utf8.Valid(v) {
		return string(v)
	}
	return hexValue(v)
}

func hexValue(v []byte) string { return `\x` + hex.EncodeToString(v) }

// binaryValue writes a binary value as text.
func (s *session) binaryValue(oid uint32, v []byte) string {
	if oid == pgtype.ByteaOID {
		return hexValue(v)
	}
	if s.types == nil {
		s.types = pgtype.NewMap()
	}
	t, ok := s.types.TypeForOID(oid)
	if !ok {
		return hexValue(v)
	}
	value, err := t.Codec.DecodeDatabaseSQLValue(s.types, oid, pgtype.BinaryFormatCode, v)
	if err != nil {
		return hexValue(v)
	}
	switch value := value.(type) {
	case string:
		return textValue([]byte(value))
	case []byte:
		return textValue(value)
	case time.Time:
		return value.Format("2006-01-02 15:04:05.999999999Z07:00")
	case nil:
		return hexValue(v)
	default:
		return fmt.Sprint(value)
	}
}
