package catalog

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/mask"
)

// ownTypes are those that users make.
const ownTypes = `
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN ssn AS text CHECK (VALUE <> '');
CREATE DOMAIN ssns AS ssn[];
CREATE DOMAIN age AS int;
CREATE TYPE address AS (street text, number int, since date, feeling mood, phones text[]);
CREATE TABLE people (id int, gone text, home address, at box);
ALTER TABLE people DROP COLUMN gone;
CREATE TYPE floats AS RANGE (subtype = float8, multirange_type_name = manyfloats);
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS citext;`

// valuesOf are some of every type. By a mask that is not among those that keep the type
// each of them becomes NULL.
var valuesOf = []struct {
	typ    string
	kept   string // masks that keep the type
	values []string
}{
	{"text", "redact partial hash fake", []string{"123-45-6789", "", "Žluťoučký kůň", "１２３４", "👨‍👩‍👧 family", "e\u0301te\u0301", `a"b\c`, strings.Repeat("long ", 5000)}},
	{"varchar(20)", "redact partial hash fake", []string{"ann@example.com"}},
	{"char(20)", "redact partial hash fake", []string{"ann@example.com", "é"}},
	{"name", "redact partial hash fake", []string{"somebody"}},
	{`"char"`, "redact partial fake", []string{"a", `\377`, "7"}},
	{"int2", "hash fake range", []string{"12345", "-32768", "32767", "0"}},
	{"int4", "hash fake range", []string{"42", "-2147483648", "2147483647"}},
	{"int8", "hash fake range", []string{"4111111111111111", "-9223372036854775808", "9223372036854775807"}},
	{"oid", "hash fake range", []string{"4294967295", "16384"}},
	{"float4", "hash fake range", []string{"123.456", "-0.5", "1e20", "NaN", "Infinity", "-0"}},
	{"float8", "hash fake range", []string{"123.4567890123", "-1e-5", "1e300", "NaN", "0.1"}},
	{"numeric", "hash fake range", []string{"52345.67", "-0.5", "0", "0.00", "100000", "1000000000000000000000.123456789", "NaN", "Infinity", "1e-100", "12345678.9", "-12000"}},
	{"money", "fake", []string{"1234.56", "-0.05", "90000000000000000"}},
	{"bool", "", []string{"t"}},
	{"date", "date_trunc hash fake", []string{"1984-05-17", "0044-03-15 BC", "12024-02-29", "infinity", "4714-11-24 BC"}},
	{"timestamp", "date_trunc hash fake", []string{"1984-05-17 10:11:12.345", "0044-03-15 12:00:00 BC", "-infinity", "294276-12-31 23:59:59.999999"}},
	{"timestamptz", "date_trunc hash fake", []string{"1984-05-17 10:11:12.345+05:30", "1800-01-01 00:00:00+00", "infinity"}},
	{"time", "date_trunc", []string{"10:11:12.345", "24:00:00"}},
	{"timetz", "date_trunc", []string{"10:11:12.345-08", "00:00:01+05:30"}},
	{"interval", "date_trunc", []string{"14 months 3 days 04:05:06.789", "-1 day -30:00:00", "-2 years", "infinity"}},
	{"uuid", "hash fake", []string{"8b3c6a52-0a34-4f6c-9d7b-1c2d3e4f5a6b"}},
	{"bytea", "hash fake", []string{`\x0123456789abcdef`, "", `\x5c00ff27`}},
	{"json", "redact partial hash fake", []string{`{"a" : 1}`, `"x"`}},
	{"jsonb", "redact partial hash fake", []string{`{"a" : 1, "b": ["x"]}`, `null`}},
	{"xml", "redact partial hash fake", []string{`<a>secret</a>`, `text`, `<?xml version="1.0"?><a/>`}},
	{"inet", "hash fake", []string{"192.168.1.17", "10.1.2.3/8", "2001:db8::1", "::ffff:1.2.3.4", "2001:db8::1/64"}},
	{"cidr", "hash fake", []string{"192.168.1.0/24", "2001:db8::/32", "0.0.0.0/0"}},
	{"macaddr", "hash fake", []string{"08:00:2b:01:02:03"}},
	{"macaddr8", "hash fake", []string{"08:00:2b:01:02:03:04:05"}},
	{"bit(11)", "hash fake", []string{"10110011101"}},
	{"varbit", "hash fake", []string{"10110011", "1", ""}},
	{"tsvector", "", []string{"fat cat"}},
	{"point", "range", []string{"(12.5,-7.25)", "(1e20,0)"}},
	{"lseg", "range", []string{"[(1,2),(33,44)]"}},
	{"box", "range", []string{"(33,44),(1,2)"}},
	{"path", "range", []string{"((1,2),(33,44))", "[(1,2),(33,44)]"}},
	{"polygon", "range", []string{"((1,2),(33,44),(5,66))"}},
	{"circle", "range", []string{"<(12,34),56>"}},
	{"line", "", []string{"{1,2,3}"}},
	{"int4range", "range", []string{"[12,17)", "[12,)", "(,)", "empty", "[5,38)"}},
	{"numrange", "range", []string{"[1.5,2.5]", "(100,250.5)", "(,3]"}},
	{"daterange", "date_trunc", []string{"[1984-05-17,1984-05-20)", "[2000-01-05,)"}},
	{"tsrange", "date_trunc", []string{`["1984-05-17 10:11:12","1985-05-17 10:11:12"]`}},
	{"tstzrange", "date_trunc", []string{`["1984-05-17 10:11:12+00","1985-05-17 10:11:12+00"]`}},
	{"int8multirange", "range", []string{"{[12,17),[20,23),[99,)}", "{}"}},
	{"datemultirange", "date_trunc", []string{"{[1984-05-17,1984-05-20),[1999-01-01,2000-01-01)}"}},
	{"text[]", "redact partial hash fake", []string{`{123-45-6789,NULL,"NULL","a,b","{x}","q\"\\",""}`, `[0:1][3:4]={{a1,b2},{c3,d4}}`, "{}"}},
	{"int4[]", "hash fake range", []string{"{41,NULL,-43}"}},
	{"numeric[]", "hash fake range", []string{"{1.5,NaN,2.5}"}},
	{"date[]", "date_trunc hash fake", []string{"{1984-05-17,infinity}"}},
	{"timestamptz[]", "date_trunc hash fake", []string{`{"1984-05-17 10:11:12+00"}`}},
	{"jsonb[]", "redact partial hash fake", []string{`{"{\"a\": 1}",NULL}`}},
	{"bytea[]", "hash fake", []string{`{"\\x0102"}`}},
	{"box[]", "range", []string{"{(33,44),(1,2);(5,6),(3,4)}"}},
	{"inet[]", "hash fake", []string{"{192.168.1.17}"}},
	{"int4range[]", "range", []string{`{"[12,17)",empty}`}},
	{"bool[]", "", []string{"{t}"}},
	{"mood", "", []string{"sad"}},
	{"mood[]", "", []string{"{sad}"}},
	{"ssn", "redact partial hash fake", []string{"123-45-6789"}},
	{"ssn[]", "redact partial hash fake", []string{"{123-45-6789}"}},
	{"ssns", "redact partial hash fake", []string{"{123-45-6789}"}},
	{"age", "hash fake range", []string{"42"}},
	{"address", "redact partial hash fake range date_trunc", []string{`("Elm, ""Street""",12,1984-05-17,sad,"{555-1234,""a b""}")`, "(,,,,)", `(x\\\\y,,,,"{}")`}},
	{"address[]", "redact partial hash fake range date_trunc", []string{`{"(Elm,12,1984-05-17,sad,\"{555-1234}\")",NULL}`}},
	{"people", "redact partial hash fake range date_trunc", []string{`(7,"(Elm,12,1984-05-17,sad,{555-1234})","(3,4),(1,2)")`}},
	{"floats", "range", []string{"[1.5,22.5)"}},
	{"manyfloats", "range", []string{"{[1.5,2.5),(30,45.5]}"}},
	{"hstore", "redact partial hash fake", []string{`a=>123-45-6789, "b c"=>NULL, "q\""=>"x\\y"`, ""}},
	{"hstore[]", "redact partial hash fake", []string{`{"\"a\"=>\"secret\""}`}},
	{"citext", "redact partial hash fake", []string{"Ann@Example.com"}},
	{"regclass", "", []string{"pg_class"}},
	{"pg_lsn", "", []string{"16/B374D848"}},
	{"int2vector", "", []string{"1 2"}},
}

var everyMask = []mask.Spec{
	{With: mask.Redact}, {With: mask.Null}, {With: mask.Partial, KeepLast: 4}, {With: mask.Hash}, {With: mask.Fake},
	{With: mask.Range, Size: 10}, {With: mask.DateTrunc, Unit: "year"}, {With: mask.DateTrunc, Unit: "hour"},
}

// Whatever a mask makes of a value, the server takes it for one of the type, and in
// both formats for the same one.
func TestTheServerTakesWhatIsMasked(t *testing.T) {
	server := postgres.Test(t, postgres.Options{})
	conn := connect(t, server)
	do(t, conn, ownTypes)
	types := snapshot(t, open(t, server))
	m, err := mask.New(mask.Keys{HMAC: []byte("a key of thirty-two bytes, fixed")})
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"bytea_output = 'hex'", "bytea_output = 'escape'; SET TimeZone = 'Asia/Kolkata'; SET lc_monetary = 'C'"} {
		do(t, conn, "SET "+setting)
		for _, v := range valuesOf {
			t.Run(v.typ, func(t *testing.T) {
				s := served{t, conn.PgConn(), m, types, v.typ}
				for _, spec := range everyMask {
					s.check(spec, v.kept, v.values)
				}
			})
		}
	}
}

// served checks masks of one type.
type served struct {
	*testing.T
	conn  *pgconn.PgConn
	m     *mask.Masker
	types *Snapshot
	typ   string
}

func (s served) check(spec mask.Spec, kept string, values []string) {
	nulls := 0
	for _, value := range values {
		name := fmt.Sprintf("%s %s of %.40q", spec.With, spec.Unit, value)
		text, oid := s.ask([]byte(value), 0, 0, 0)
		bin, _ := s.ask([]byte(value), 0, 0, 1)
		maskedText, nullText := s.mask(spec, oid, text, false)
		maskedBin, nullBin := s.mask(spec, oid, bin, true)
		if nullText != nullBin {
			s.Errorf("%s: NULL in text: %v, in binary: %v", name, nullText, nullBin)
			continue
		}
		if nullText {
			nulls++
			continue
		}
		if bytes.Equal(maskedText, text) && len(strings.Trim(value, "{}empty")) > 9 && spec.With != mask.Range && spec.With != mask.DateTrunc { // which may be the value
			s.Errorf("%s: came through", name)
		}
		again, _ := s.ask(maskedText, oid, 0, 0)
		fromBin, _ := s.ask(maskedBin, oid, 1, 0)
		if !bytes.Equal(again, fromBin) {
			s.Errorf("%s: %q is %.200q to the server, but %x is %.200q", name, maskedText, again, maskedBin, fromBin)
		}
		if testing.Verbose() {
			s.Logf("%s: %.100q", name, again)
		}
	}
	if keeps := strings.Contains(" "+kept+" ", " "+spec.With+" "); keeps == (nulls == len(values)) {
		s.Errorf("%s: %d of %d become NULL, although it keeps the type: %v", spec.With, nulls, len(values), keeps)
	}
}

func (s served) mask(spec mask.Spec, oid uint32, value []byte, bin bool) ([]byte, bool) {
	cell, err := s.m.Cell(spec, oid, bin, s.types)
	if err != nil {
		s.Fatal(err)
	}
	first, null := cell([]byte{}, value) // nil would be NULL
	if second, again := cell(nil, value); !bytes.Equal(first, second) && !null || null != again {
		s.Errorf("%s of %q is %q, and then %q", spec.With, value, first, second)
	}
	return first, null
}

// ask has the server read a value of the type and write it. oid 0 leaves it to the
// server what the parameter is.
func (s served) ask(value []byte, oid uint32, in, out int16) ([]byte, uint32) {
	sql := "SELECT $1::" + s.typ
	if oid == 0 {
		sql = "SELECT $1::text::" + s.typ
	}
	var oids []uint32
	if oid != 0 {
		oids = []uint32{oid}
	}
	r := s.conn.ExecParams(context.Background(), sql, [][]byte{value}, oids, []int16{in}, []int16{out}).Read()
	if r.Err != nil {
		s.Fatalf("%s of %q (format %d): %v", sql, value, in, r.Err)
	}
	return r.Rows[0][0], r.FieldDescriptions[0].DataTypeOID
}
