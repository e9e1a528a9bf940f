package mask

import "github.com/jackc/pgx/v5/pgtype"

// Cell makes the mask of a column from its type and its format. It fails only
// for a spec that cannot work; a type that cannot be kept gives NULLs.
func (m *Masker) Cell(s Spec, typeOID uint32, binary bool) (Cell, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.With == Null {
		return nullCell, nil
	}
	switch typeOID {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.UnknownOID:
		return func(dst, value []byte) ([]byte, bool) { return m.text(s, dst, value) }, nil
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return m.integerCell(s, integerBytes[typeOID], binary), nil
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return timeCell(s, typeOID, binary), nil
	case pgtype.UUIDOID:
		return m.uuidCell(s, binary), nil
	case pgtype.ByteaOID:
		return m.byteaCell(s, binary), nil
	case pgtype.JSONOID, pgtype.JSONBOID:
		return m.jsonCell(s, typeOID == pgtype.JSONBOID && binary), nil
	case pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID:
		return m.decimalCell(s, typeOID, binary), nil
	default:
		return nullCell, nil
	}
}

func nullCell(dst, _ []byte) ([]byte, bool) { return dst, true }
