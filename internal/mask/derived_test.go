package mask

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// What is derived becomes the same whatever it was, in each format of each type.
func TestDerivedIsConstant(t *testing.T) {
	m, err := New(Keys{HMAC: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	for oid, words := range map[uint32][2]string{
		pgtype.TextOID:      {"[redacted]", "[redacted]"},
		pgtype.VarcharOID:   {"[redacted]", "[redacted]"},
		pgtype.BPCharOID:    {"[redacted]", "[redacted]"},
		pgtype.JSONOID:      {`"[redacted]"`, `"[redacted]"`},
		pgtype.JSONBOID:     {`"[redacted]"`, "\x01\"[redacted]\""},
		pgtype.Int4OID:      {},
		pgtype.BoolOID:      {},
		pgtype.TextArrayOID: {},
		0:                   {},
	} {
		for i, want := range words {
			cell, err := m.Cell(Derived(), oid, i == 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range [][]byte{nil, {}, []byte("x"), []byte("\x01{}")} {
				got, null := cell(nil, value)
				if string(got) != want || null != (want == "") {
					t.Errorf("type %d, binary %t: %q becomes %q, NULL %t", oid, i == 1, value, got, null)
				}
			}
		}
		if Derived().HidesNull(oid) != (words[0] != "") {
			t.Errorf("type %d: HidesNull is %t", oid, Derived().HidesNull(oid))
		}
	}
	if (Spec{With: Redact}).HidesNull(pgtype.TextOID) {
		t.Error("a column's own NULL is hidden")
	}
}
