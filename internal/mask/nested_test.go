package mask

import (
	"bytes"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

// someTypes are a catalog with types of users, one of them within itself.
type someTypes struct{}

func (someTypes) Type(oid uint32) (Type, bool) {
	t, ok := map[uint32]Type{
		20001: {Kind: Domain, Of: pgtype.TextOID},
		20002: {Kind: Array, Of: 20001, Delim: ','},
		20003: {Kind: Composite, Fields: []uint32{pgtype.TextOID, pgtype.Int4OID, 20002, pgtype.BoolOID}},
		20004: {Kind: Array, Of: 20003, Delim: ','},
		20005: {Kind: RangeOf, Of: pgtype.NumericOID},
		20006: {Kind: MultirangeOf, Of: 20005},
		20007: {Kind: Named, Name: "hstore"},
		20008: {Kind: Named, Name: "citext"},
		20009: {Kind: Named, Name: "geometry"},
		20010: {Kind: Composite, Fields: []uint32{20011, pgtype.TextOID}},
		20011: {Kind: Array, Of: 20010, Delim: ','},
		20012: {Kind: Composite},
		20013: {Kind: MultirangeOf, Of: pgtype.TextOID},
		20014: {Kind: Domain, Of: 20014},
	}[oid]
	return t, ok
}

func TestNestedText(t *testing.T) {
	m := newMasker(t)
	last := Spec{With: Partial, KeepLast: 2}
	for _, tc := range []struct {
		name  string
		spec  Spec
		oid   uint32
		value string
		want  string
		null  bool
	}{
		{"an array", last, pgtype.TextArrayOID, `{12-34,NULL,"NULL","a b c"}`, `{**-34,NULL,**LL,"* b c"}`, false},
		{"with bounds", last, pgtype.TextArrayOID, `[2:3]={abcd,efgh}`, `[2:3]={**cd,**gh}`, false},
		{"of two dimensions", last, pgtype.TextArrayOID, `{{abcd},{efgh}}`, `{{**cd},{**gh}}`, false},
		{"empty", last, pgtype.TextArrayOID, `{}`, `{}`, false},
		{"redacted shows no size", Spec{}, pgtype.TextArrayOID, `{a,b,c}`, `{[redacted]}`, false},
		{"numbers have no words", Spec{}, pgtype.Int4ArrayOID, `{1}`, ``, true},
		{"numbers have no parts", last, pgtype.Int4ArrayOID, `{1}`, ``, true},
		{"an element that cannot be kept", Spec{With: Range, Size: 10}, pgtype.NumericArrayOID, `{12,NaN}`, `{10,NULL}`, false},
		{"not closed", last, pgtype.TextArrayOID, `{secret`, ``, true},
		{"a quote not closed", last, pgtype.TextArrayOID, `{"secret}`, ``, true},
		{"something behind it", last, pgtype.TextArrayOID, `{a}secret`, ``, true},
		{"no element", last, pgtype.TextArrayOID, `{a,,secret}`, ``, true},
		{"too deep", last, pgtype.TextArrayOID, `{{{{{{{secret}}}}}}}`, ``, true},
		{"bounds that are none", last, pgtype.TextArrayOID, `[secret]={a}`, ``, true},
		{"a domain", last, 20001, `secret`, `****et`, false},
		{"an array of a domain", last, 20002, `{secret}`, `{****et}`, false},
		{"a row", last, 20003, `(secret,7,"{a b c,NULL}",t)`, `(****et,,"{""* b c"",NULL}",)`, false},
		{"a row of numbers", Spec{With: Range, Size: 10}, 20003, `(secret,17,{a},t)`, `(,10,,)`, false},
		{"a redacted row", Spec{}, 20003, `(,,,)`, `([redacted],,{[redacted]},)`, false},
		{"a row in an array", last, 20004, `{"(secret,7,{},t)"}`, `{"(****et,,{},)"}`, false},
		{"a row with a field more", last, 20003, `(a,1,{},t,secret)`, ``, true},
		{"a row with a field less", last, 20003, `(secret,1,{})`, ``, true},
		{"no row", last, 20003, `secret`, ``, true},
		{"a row of no columns", last, 20012, `()`, ``, true},
		{"a range", Spec{With: Range, Size: 10}, 20005, `[12.5,38)`, `[10,30)`, false},
		{"a range within a bucket", Spec{With: Range, Size: 10}, 20005, `(12,13)`, `[10,10]`, false},
		{"a range without an end", Spec{With: Range, Size: 10}, 20005, `[12,)`, `[10,)`, false},
		{"a range that cannot be kept", Spec{With: Range, Size: 10}, 20005, `[12,NaN)`, ``, true},
		{"a multirange", Spec{With: Range, Size: 10}, 20006, `{[12,17),[25,)}`, `{[10,10],[20,)}`, false},
		{"an hstore", last, 20007, `"k"=>"secret", "n"=>NULL`, `"k"=>"****et", "n"=>NULL`, false},
		{"a redacted hstore", Spec{}, 20007, `"secret"=>"secret"`, `"[redacted]"=>"[redacted]"`, false},
		{"no hstore", last, 20007, `secret`, ``, true},
		{"citext", last, 20008, `secret`, `****et`, false},
		{"another extension's", last, 20009, `secret`, ``, true},
		{"a multirange of no ranges", last, 20013, `{}`, ``, true},
		{"a type within itself", last, 20014, `secret`, ``, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cell, err := m.Cell(tc.spec, tc.oid, false, someTypes{})
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

// What is not of the type it should be never shows, whatever it is.
func TestNoNestedCellLeaks(t *testing.T) {
	m := newMasker(t)
	piece := rapid.SampledFrom([]string{
		"secretvalue", "{", "}", "(", ")", "[", "]", ",", `"`, `\`, "=>", "=", ":", "NULL", " ", "1", "\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x0b", "\x00\x00\x00\x19", "\xff\xff\xff\xff",
	})
	rapid.Check(t, func(r *rapid.T) {
		value := []byte{}
		for _, p := range rapid.SliceOfN(piece, 0, 20).Draw(r, "pieces") {
			value = append(value, p...)
		}
		oid := uint32(rapid.IntRange(20001, 20014).Draw(r, "oid"))
		with := rapid.SampledFrom([]string{Redact, Hash, Fake, Partial, Range, DateTrunc}).Draw(r, "with")
		cell, err := m.Cell(Spec{With: with, Size: 3, Unit: "day"}, oid, rapid.Bool().Draw(r, "binary"), someTypes{})
		if err != nil {
			r.Fatal(err)
		}
		out, null := cell(nil, value)
		if oid != 20007 && !null && bytes.Contains(out, []byte("secretvalue")) { // the keys of an hstore stay
			r.Fatalf("%q came through in %q", value, out)
		}
	})
}

// Every type and format takes any bytes.
func FuzzCell(f *testing.F) {
	for _, seed := range []string{`{a,"b",NULL}`, `(a,"b",,)`, `[1,2)`, `{[1,2),[3,4)}`, `"k"=>"v"`, "123.45", "2024-05-17 10:11:12.5+02 BC", `\x00ff`, "10.0.0.1/8", "1 mon 2 days 03:04:05", "((1,2),(3,4))", "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01a"} {
		f.Add(uint16(25), uint8(3), true, []byte(seed))
		f.Add(uint16(1009), uint8(2), false, []byte(seed))
		f.Add(uint16(20003), uint8(1), false, []byte(seed))
	}
	m := newMasker(f)
	withs := []string{Redact, Null, Partial, Hash, Fake, Range, DateTrunc}
	f.Fuzz(func(t *testing.T, oid uint16, with uint8, bin bool, value []byte) {
		cell, err := m.Cell(Spec{With: withs[int(with)%len(withs)], KeepLast: 1, Size: 10, Unit: "month"}, uint32(oid), bin, someTypes{})
		if err != nil {
			t.Fatal(err)
		}
		first, null := cell(nil, value)
		second, again := cell([]byte("kept"), value)
		if null != again || !null && !bytes.Equal(append([]byte("kept"), first...), second) {
			t.Errorf("%q and then %q", first, second)
		}
	})
}
