//go:build !race

package mask

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// A masked value costs no memory once there is room for it.
func TestCellsDoNotAllocate(t *testing.T) {
	m, err := New(Keys{HMAC: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spec  Spec
		oid   uint32
		value string
	}{
		"redact":       {Spec{With: Redact}, pgtype.TextOID, "anything"},
		"partial":      {Spec{With: Partial, KeepLast: 4}, pgtype.TextOID, "4111 1111 1111 1234"},
		"partial utf8": {Spec{With: Partial, KeepLast: 4}, pgtype.TextOID, "Žluťoučký kůň"},
		"hash":         {Spec{With: Hash}, pgtype.TextOID, "somebody@example.com"},
		"fake":         {Spec{With: Fake}, pgtype.TextOID, "somebody@example.com, for as long as a digest does not suffice"},
		"hash int8":    {Spec{With: Hash}, pgtype.Int8OID, "12345"},
		"range int4":   {Spec{With: Range, Size: 10}, pgtype.Int4OID, "12345"},
		"date":         {Spec{With: DateTrunc, Unit: "month"}, pgtype.DateOID, "2024-03-17"},
		"hash uuid":    {Spec{With: Hash}, pgtype.UUIDOID, "8b3c6a52-0a34-4f6c-9d7b-1c2d3e4f5a6b"},
		"timestamptz":  {Spec{With: DateTrunc, Unit: "hour"}, pgtype.TimestamptzOID, "2024-03-17 10:11:12.5+02"},
		"fake int8":    {Spec{With: Fake}, pgtype.Int8OID, "4111111111111111"},
		"numeric":      {Spec{With: Fake}, pgtype.NumericOID, "52345.67"},
		"hash numeric": {Spec{With: Hash}, pgtype.NumericOID, "52345.67"},
		"float8":       {Spec{With: Range, Size: 10}, pgtype.Float8OID, "123.5"},
		"bytea":        {Spec{With: Hash}, pgtype.ByteaOID, `\\x0102030405`},
		"text[]":       {Spec{With: Partial, KeepLast: 4}, pgtype.TextArrayOID, `{123-45-6789,NULL,"a b"}`},
		"int4[]":       {Spec{With: Hash}, pgtype.Int4ArrayOID, `{1,2,3}`},
		"int4range":    {Spec{With: Range, Size: 10}, pgtype.Int4rangeOID, `[12,17)`},
		"padded":       {Spec{With: Hash}, pgtype.BPCharOID, "abc       "},
		"fake utf8":    {Spec{With: Fake}, pgtype.TextOID, "Žluťoučký kůň １２"},
		"json":         {Spec{With: Hash}, pgtype.JSONBOID, `{"a": 1}`},
	} {
		cell, err := m.Cell(c.spec, c.oid, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		dst, value := make([]byte, 0, 256), []byte(c.value)
		if n := testing.AllocsPerRun(100, func() { dst, _ = cell(dst[:0], value) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A text is masked as before whether or not each of its bytes is a character.
func TestPartialASCIIIsPartial(t *testing.T) {
	for _, text := range []string{"", "a", "abc", "4111 1111 1111 1234", "...", "a\tb\x00c\x7f", "-x-y-z-"} {
		for first := range 4 {
			for last := range 4 {
				s := Spec{With: Partial, KeepFirst: first, KeepLast: last}
				got := string(partial(s, nil, []byte(text)))
				if want := maskRunes(s, []rune(text)); got != want {
					t.Errorf("%q, %d and %d: %q, want %q", text, first, last, got, want)
				}
			}
		}
	}
}

// maskRunes is partial, character by character.
func maskRunes(s Spec, text []rune) string {
	total := 0
	for _, r := range text {
		if covered(r) {
			total++
		}
	}
	if s.KeepFirst+s.KeepLast >= total {
		s.KeepFirst, s.KeepLast = 0, 0
	}
	seen := 0
	for i, r := range text {
		if !covered(r) {
			continue
		}
		if seen >= s.KeepFirst && seen < total-s.KeepLast {
			text[i] = '*'
		}
		seen++
	}
	return string(text)
}
