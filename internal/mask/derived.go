package mask

import "github.com/jackc/pgx/v5/pgtype"

// Derived is the mask of what is only computed from hidden values: one constant for
// every value, NULL included, so that not even NULL or not is told.
func Derived() Spec { return Spec{With: Redact, constant: true} }

// HidesNull says that the Cell of this spec and type takes nil for a NULL, and
// replaces it too.
func (s Spec) HidesNull(typeOID uint32) bool { return s.constant && word(typeOID, false) != "" }

// word is the constant of a type; "" is NULL.
func word(typeOID uint32, binary bool) string {
	switch typeOID {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.UnknownOID:
		return Redacted
	case pgtype.JSONBOID:
		if binary {
			return string(rune(jsonbVersion)) + `"` + Redacted + `"`
		}
		fallthrough
	case pgtype.JSONOID:
		return `"` + Redacted + `"`
	}
	return ""
}

func derivedCell(typeOID uint32, binary bool) Cell {
	word := word(typeOID, binary)
	return func(dst, _ []byte) ([]byte, bool) { return append(dst, word...), word == "" }
}
