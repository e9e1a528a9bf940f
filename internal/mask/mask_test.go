package mask

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

func newMasker(t testing.TB) *Masker {
	t.Helper()
	m, err := New(Keys{HMAC: []byte("a key of thirty-two bytes, fixed")})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNewRefusesAShortKey(t *testing.T) {
	if _, err := New(Keys{HMAC: []byte("short")}); err == nil {
		t.Fatal("a key of 5 bytes was taken")
	}
}

func TestTextCells(t *testing.T) {
	m := newMasker(t)
	for _, tc := range []struct {
		name  string
		spec  Spec
		oid   uint32
		value string
		want  string
		null  bool
	}{
		{"the zero spec hides", Spec{}, pgtype.TextOID, "secret", Redacted, false},
		{"an unknown mask hides", Spec{With: "sparkle"}, pgtype.TextOID, "secret", Redacted, false},
		{"null", Spec{With: Null}, pgtype.TextOID, "secret", "", true},
		{"ssn keeps its last four", Spec{With: Partial, KeepLast: 4}, pgtype.TextOID, "123-45-6789", "***-**-6789", false},
		{"card keeps both ends", Spec{With: Partial, KeepFirst: 6, KeepLast: 4}, pgtype.VarcharOID, "4111 1111 1111 1111", "4111 11** **** 1111", false},
		{"email", Spec{With: Partial, KeepFirst: 1}, pgtype.TextOID, "ann@example.com", "a**@*******.***", false},
		{"too short to keep anything", Spec{With: Partial, KeepLast: 4}, pgtype.TextOID, "6789", "****", false},
		{"letters of any script are covered", Spec{With: Partial, KeepFirst: 1}, pgtype.TextOID, "Łukasz", "Ł*****", false},
		{"redacted number", Spec{With: Redact}, pgtype.Int4OID, "42", "", true},
		{"partial number", Spec{With: Partial, KeepLast: 1}, pgtype.Int4OID, "42", "", true},
		{"range", Spec{With: Range, Size: 10}, pgtype.Int4OID, "42", "40", false},
		{"range below zero", Spec{With: Range, Size: 10}, pgtype.Int4OID, "-1", "-10", false},
		{"range of a numeric", Spec{With: Range, Size: 1000}, pgtype.NumericOID, "52345.67", "52000", false},
		{"range that the type cannot hold", Spec{With: Range, Size: 1000}, pgtype.Int2OID, "-32768", "", true},
		{"year of a date", Spec{With: DateTrunc, Unit: "year"}, pgtype.DateOID, "1984-05-17", "1984-01-01", false},
		{"month of a timestamp", Spec{With: DateTrunc, Unit: "month"}, pgtype.TimestampOID, "2024-05-17 10:11:12.345", "2024-05-01 00:00:00", false},
		{"hour, in UTC", Spec{With: DateTrunc, Unit: "hour"}, pgtype.TimestamptzOID, "2024-05-17 10:11:12.345+02", "2024-05-17 08:00:00+00", false},
		{"a date in another style", Spec{With: DateTrunc, Unit: "year"}, pgtype.DateOID, "17/05/1984", "", true},
		{"a redacted date", Spec{With: Redact}, pgtype.DateOID, "1984-05-17", "", true},
		{"json stays json", Spec{With: Redact}, pgtype.JSONOID, `{"a":1}`, `"[redacted]"`, false},
		{"an unknown type", Spec{With: Redact}, 999999, "x", "", true},
		{"bool", Spec{With: Hash}, pgtype.BoolOID, "t", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cell, err := m.Cell(tc.spec, tc.oid, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			out, null := cell(nil, []byte(tc.value))
			if null != tc.null || (!null && string(out) != tc.want) {
				t.Errorf("got %q, null %v; want %q, null %v", out, null, tc.want, tc.null)
			}
		})
	}
}

func TestSpecsThatCannotWork(t *testing.T) {
	m := newMasker(t)
	for _, s := range []Spec{{With: Range}, {With: DateTrunc}, {With: DateTrunc, Unit: "week"}, {With: Partial, KeepLast: -1}} {
		if _, err := m.Cell(s, pgtype.TextOID, false, nil); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

// A keyed mask gives equal values equal replacements in either format, and a
// value of the same type.
func TestHashJoinsAcrossFormats(t *testing.T) {
	m := newMasker(t)
	text, _ := m.Cell(Spec{With: Hash}, pgtype.Int4OID, false, nil)
	bin, _ := m.Cell(Spec{With: Hash}, pgtype.Int4OID, true, nil)
	out, null := text(nil, []byte("42"))
	raw, rawNull := bin(nil, binary.BigEndian.AppendUint32(nil, 42))
	if null || rawNull || len(raw) != 4 {
		t.Fatalf("text %q %v, binary %x %v", out, null, raw, rawNull)
	}
	var n pgtype.Int4
	if err := pgtype.NewMap().Scan(pgtype.Int4OID, pgtype.TextFormatCode, out, &n); err != nil {
		t.Fatal(err)
	}
	if got := int32(binary.BigEndian.Uint32(raw)); got != n.Int32 || got == 42 {
		t.Errorf("binary gives %d, text %d", got, n.Int32)
	}
}

func TestBinaryDates(t *testing.T) {
	m := newMasker(t)
	types := pgtype.NewMap()
	when := time.Date(1984, 5, 17, 10, 11, 12, 0, time.UTC)
	for oid, want := range map[uint32]string{
		pgtype.DateOID:        "1984-05-01 00",
		pgtype.TimestampOID:   "1984-05-01 00",
		pgtype.TimestamptzOID: "1984-05-01 00",
	} {
		raw, err := types.Encode(oid, pgtype.BinaryFormatCode, when, nil)
		if err != nil {
			t.Fatal(err)
		}
		cell, _ := m.Cell(Spec{With: DateTrunc, Unit: "month"}, oid, true, nil)
		out, null := cell(nil, raw)
		var got time.Time
		if err := types.Scan(oid, pgtype.BinaryFormatCode, out, &got); err != nil || null {
			t.Fatalf("oid %d: %v, null %v", oid, err, null)
		}
		if g := got.UTC().Format("2006-01-02 15"); g != want {
			t.Errorf("oid %d: %s, want %s", oid, g, want)
		}
	}
}

// No type, format or mask ever panics, lets the value through, or gives bytes
// that the type cannot read.
func TestNoCellLeaks(t *testing.T) {
	m := newMasker(t)
	types := pgtype.NewMap()
	oids := []uint32{pgtype.BoolOID, pgtype.TSVectorOID, 70000}
	for oid := range uint32(8000) {
		_, scalar := builder{m: m, spec: Spec{With: Hash}}.scalar(oid)
		if _, made := typeOf(oid, nil); scalar || made {
			oids = append(oids, oid)
		}
	}
	withs := []string{Redact, Null, Partial, Hash, Fake, Range, DateTrunc, "", "unknown"}
	rapid.Check(t, func(r *rapid.T) {
		oid := rapid.SampledFrom(oids).Draw(r, "oid")
		spec := Spec{With: rapid.SampledFrom(withs).Draw(r, "with"), Size: 7, Unit: "month"}
		bin := rapid.Bool().Draw(r, "binary")
		value := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "value")
		cell, err := m.Cell(spec, oid, bin, nil)
		if err != nil {
			r.Fatal(err)
		}
		out, null := cell([]byte("kept"), value)
		if !bytes.HasPrefix(out, []byte("kept")) {
			r.Fatalf("what stood in dst was lost: %q", out)
		}
		if out = out[4:]; null {
			return
		}
		if letters := strings.TrimFunc(string(value), func(c rune) bool { return !covered(c) }); len(letters) >= 12 && bytes.Contains(out, []byte(letters)) {
			r.Fatalf("%q came through in %q", letters, out)
		}
		if bin && (oid == pgtype.Int4OID || oid == pgtype.UUIDOID || oid == pgtype.JSONBOID) {
			var v any
			typ, _ := types.TypeForOID(oid)
			if v, err = typ.Codec.DecodeValue(types, oid, pgtype.BinaryFormatCode, out); err != nil {
				r.Fatalf("oid %d: %x is no value: %v (%v)", oid, out, err, v)
			}
		}
	})
}

func TestPartialNeverKeepsTheWhole(t *testing.T) {
	m := newMasker(t)
	rapid.Check(t, func(r *rapid.T) {
		value := rapid.StringMatching(`[a-z0-9]{1,20}`).Draw(r, "value")
		spec := Spec{With: Partial, KeepFirst: rapid.IntRange(0, 25).Draw(r, "first"), KeepLast: rapid.IntRange(0, 25).Draw(r, "last")}
		cell, _ := m.Cell(spec, pgtype.TextOID, false, nil)
		if out, _ := cell(nil, []byte(value)); string(out) == value {
			r.Fatalf("%q came through", value)
		}
	})
}

func BenchmarkPartialCell(b *testing.B) {
	cell, _ := newMasker(b).Cell(Spec{With: Partial, KeepLast: 4}, pgtype.TextOID, false, nil)
	value, dst := []byte("123-45-6789"), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = cell(dst[:0], value)
	}
}

func BenchmarkHashCell(b *testing.B) {
	cell, _ := newMasker(b).Cell(Spec{With: Hash}, pgtype.TextOID, false, nil)
	value, dst := []byte("123-45-6789"), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = cell(dst[:0], value)
	}
}
