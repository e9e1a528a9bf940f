package mask

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/detect"
)

func newPassages(t testing.TB, email Spec) *Passages {
	t.Helper()
	p, err := newMasker(t).Passages([]PassageRule{
		{Detector: detect.Email, Class: "pii.email", Spec: email},
		{Detector: detect.CreditCard, Class: "pci.pan", Spec: Spec{With: Partial, KeepLast: 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPassagesOfNoRules(t *testing.T) {
	if p, err := newMasker(t).Passages(nil); p != nil || err != nil {
		t.Errorf("got %v, %v", p, err)
	}
	if _, err := newMasker(t).Passages([]PassageRule{{Detector: detect.Email, Spec: Spec{With: Range}}}); err == nil {
		t.Error("a range without a size was taken")
	}
}

func TestSeekersInText(t *testing.T) {
	for _, tc := range []struct {
		name     string
		oid      uint32
		in, want string
	}{
		{"text", pgtype.TextOID, "ask bob@example.com or 4111 1111 1111 1111.", "ask [redacted] or **** **** **** 1111."},
		{"xml", pgtype.XMLOID, "<a>bob@example.com</a>", "<a>[redacted]</a>"},
		{"json", pgtype.JSONOID, `{"to": ["bob@example.com"], "n": 1}`, `{"to":["[redacted]"],"n":1}`},
		{"json with escapes", pgtype.JSONOID, `{"to":"bob\u0040example.com"}`, `{"to":"[redacted]"}`},
		{"names in json", pgtype.JSONBOID, `{"bob@example.com":1}`, `{"[redacted]":1}`},
		{"numbers in json", pgtype.JSONBOID, `{"a":4111111111111111,"b":0.4111111111111111}`, `{"a":null,"b":0.4111111111111111}`},
		{"an array", pgtype.TextArrayOID, `{a,bob@example.com,"x y"}`, `{a,[redacted],"x y"}`},
		{"a composite", 16500, `(1,bob@example.com,"a ""b""")`, `(1,[redacted],"a ""b""")`},
		{"hstore", 16501, `"mail"=>"bob@example.com"`, `"mail"=>"[redacted]"`},
		{"nothing", pgtype.TextOID, "nothing here", ""},
		{"nothing in json", pgtype.JSONOID, `{"a":  "b\n"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f Found
			out, null, changed := newPassages(t, Spec{}).Seeker(tc.oid, false)(nil, []byte(tc.in), &f)
			if string(out) != tc.want || null || changed != (tc.want != "") || f.Any() != changed {
				t.Errorf("got %q, null %v, changed %v, %v", out, null, changed, f.Counts)
			}
		})
	}
}

func TestNoSeekersWhereThereIsNoText(t *testing.T) {
	p := newPassages(t, Spec{})
	for _, oid := range []uint32{pgtype.Int8OID, pgtype.NumericOID, pgtype.UUIDOID, pgtype.TimestamptzOID, pgtype.Float8ArrayOID, pgtype.ByteaOID} {
		if p.Seeker(oid, false) != nil || p.Seeker(oid, true) != nil {
			t.Errorf("type %d is looked through", oid)
		}
	}
}

func TestSeekersInBinary(t *testing.T) {
	m := pgtype.NewMap()
	p := newPassages(t, Spec{})
	var f Found
	encode := func(oid uint32, v any) []byte {
		b, err := m.Encode(oid, pgtype.BinaryFormatCode, v, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	texts := encode(pgtype.TextArrayOID, []string{"a", "bob@example.com", "b", "x ann@example.com"})
	out, null, changed := p.Seeker(pgtype.TextArrayOID, true)([]byte("kept"), texts, &f)
	var got []string
	if err := m.Scan(pgtype.TextArrayOID, pgtype.BinaryFormatCode, out[4:], &got); err != nil || null || !changed {
		t.Fatal(err, null, changed)
	}
	if strings.Join(got, "|") != "a|[redacted]|b|x [redacted]" || f.Counts[detect.Email] != 2 {
		t.Errorf("got %q, %v", got, f.Counts)
	}
	document := encode(pgtype.JSONBOID, map[string]string{"a": "bob@example.com"})
	if out, _, _ := p.Seeker(pgtype.JSONBOID, true)(nil, document, &f); string(out) != "\x01"+`{"a":"[redacted]"}` {
		t.Errorf("jsonb: %q", out)
	}
	if out, null, changed := p.Seeker(16500, true)(nil, []byte("bob@example.com"), &f); string(out) != "[redacted]" || null || !changed {
		t.Errorf("a type of an extension that is text: %q", out)
	}
	composite := append([]byte{0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 15}, "bob@example.com"...)
	if _, null, changed := p.Seeker(16500, true)(nil, composite, &f); !null || !changed {
		t.Error("a composite that holds a mailbox was delivered")
	}
	for _, untouched := range [][]byte{encode(pgtype.TextArrayOID, []string{"a", "b"}), {0, 0, 0, 0}, {}, []byte("plain")} {
		if out, null, changed := p.Seeker(pgtype.TextArrayOID, true)(nil, untouched, &f); len(out) > 0 || null || changed {
			t.Errorf("%q became %q", untouched, out)
		}
	}
}

func TestPassageWithoutAReplacement(t *testing.T) {
	var f Found
	if out, _ := newPassages(t, Spec{With: Null}).Text(nil, []byte("to bob@example.com!"), &f); string(out) != "to [redacted]!" {
		t.Errorf("got %q", out)
	}
}

func TestStreamAsText(t *testing.T) {
	p := newPassages(t, Spec{})
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"bob@example.com", " ", "x", "4111 1111 1111 1111", "\n"})).Draw(t, "words"), ""))
		var f, whole Found
		want, changed := p.Text(nil, text, &whole)
		if !changed {
			want = text
		}
		s := p.Stream()
		var got []byte
		told := 0
		for rest := text; ; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "piece")
			got = s.Append(got, rest[:n], n == len(rest), &f, func(string, []byte) { told++ })
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
		if !bytes.Equal(got, want) || f.Counts != whole.Counts || told != f.Counts[detect.Email]+f.Counts[detect.CreditCard] {
			t.Fatalf("%q became %q, not %q (%v, %v)", text, got, want, f.Counts, whole.Counts)
		}
	})
}

func FuzzSeekers(f *testing.F) {
	f.Add([]byte(`{"a":"bob@example.com"}`), uint32(pgtype.JSONOID), false)
	f.Add(binary.BigEndian.AppendUint32(nil, 1), uint32(pgtype.TextArrayOID), true)
	f.Fuzz(func(t *testing.T, value []byte, oid uint32, isBinary bool) {
		p := newPassages(t, Spec{})
		seek := p.Seeker(oid, isBinary)
		if seek == nil {
			return
		}
		original := bytes.Clone(value)
		var found Found
		out, null, changed := seek([]byte("kept"), value, &found)
		if !bytes.Equal(original, value) || !bytes.HasPrefix(out, []byte("kept")) {
			t.Fatal("what it was given was changed")
		}
		if !changed && (null || len(out) != 4) {
			t.Fatalf("nothing was found, and there is %q", out)
		}
		if changed && !null && oid == pgtype.JSONOID && json.Valid(value) && !json.Valid(out[4:]) {
			t.Fatalf("%q is no JSON", out[4:])
		}
	})
}
