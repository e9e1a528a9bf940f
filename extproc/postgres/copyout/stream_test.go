package copyout

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/mask"
)

// hide is a mask that replaces every value by one word.
func hide(dst, _ []byte) ([]byte, bool) { return append(dst, "HIDDEN"...), false }

// drop is one that the type could not keep.
func drop(dst, _ []byte) ([]byte, bool) { return dst, true }

// keep gives each value back, so that what is written is what was read.
func keep(dst, value []byte) ([]byte, bool) { return append(dst, value...), false }

var (
	plainText = Format{Kind: Text, Delimiter: '\t', Null: `\N`}
	plainCSV  = Format{Kind: CSV, Delimiter: ',', Quote: '"', Escape: '"'}
)

func with(f Format, change func(*Format)) Format {
	change(&f)
	return f
}

func TestStream(t *testing.T) {
	for name, c := range map[string]struct {
		format   Format
		cells    []mask.Cell
		in, want string
	}{
		"text":               {plainText, []mask.Cell{nil, hide, nil}, "1\tann\tx\n2\tbob\ty\n", "1\tHIDDEN\tx\n2\tHIDDEN\ty\n"},
		"null stays":         {plainText, []mask.Cell{nil, hide}, "1\t\\N\n2\t\\\\N\n3\t\n", "1\t\\N\n2\tHIDDEN\n3\tHIDDEN\n"},
		"becomes null":       {plainText, []mask.Cell{drop, nil}, "ann\t1\n", "\\N\t1\n"},
		"escapes":            {plainText, []mask.Cell{keep, hide}, "a\\tb\\nc\\\\d\\be\\rf\\vg\\fh\ts\\tecret\\n\n", "a\\tb\\nc\\\\d\\be\\rf\\vg\\fh\tHIDDEN\n"},
		"end marker":         {plainText, []mask.Cell{nil, hide}, "\\\\.\ts\n", "\\\\.\tHIDDEN\n"},
		"delimiter":          {with(plainText, func(f *Format) { f.Delimiter = '|' }), []mask.Cell{keep, hide}, "a\\|b|s\\|s\n", "a\\|b|HIDDEN\n"},
		"empty is null":      {with(plainText, func(f *Format) { f.Null = "" }), []mask.Cell{hide, hide}, "\tx\n", "\tHIDDEN\n"},
		"header":             {with(plainText, func(f *Format) { f.Header = true }), []mask.Cell{hide, nil}, "ssn\tid\n123\t1\n", "ssn\tid\nHIDDEN\t1\n"},
		"csv":                {plainCSV, []mask.Cell{nil, hide}, "1,ann\n2,\"b,o\"\"b\"\n", "1,HIDDEN\n2,HIDDEN\n"},
		"csv newline":        {plainCSV, []mask.Cell{hide, nil}, "\"a\nsecret\nc\",1\n\"x\r\ny\",2\n", "HIDDEN,1\nHIDDEN,2\n"},
		"csv null":           {plainCSV, []mask.Cell{hide, hide}, ",\"\"\n", ",HIDDEN\n"},
		"csv word for null":  {with(plainCSV, func(f *Format) { f.Null = "123" }), []mask.Cell{hide, keep}, "\"123\",\"123\"\n123,x\n", "HIDDEN,\"123\"\n123,x\n"},
		"csv mask like null": {with(plainCSV, func(f *Format) { f.Null = "HIDDEN" }), []mask.Cell{hide, drop}, "a,b\n", "\"HIDDEN\",HIDDEN\n"},
		"csv quote, escape":  {with(plainCSV, func(f *Format) { f.Quote, f.Escape = '\'', '\\' }), []mask.Cell{hide, keep}, "'a\\'\n,b','c\\\\\\'d'\n\\,e\\\n", "HIDDEN,'c\\\\\\'d'\nHIDDEN,e\\\n"},
		"csv force quote":    {with(plainCSV, func(f *Format) { f.Quoted = []bool{true, false} }), []mask.Cell{hide, hide}, "\"a\",b\n\"\",\n", "\"HIDDEN\",HIDDEN\n\"HIDDEN\",\n"},
		"csv header":         {with(plainCSV, func(f *Format) { f.Header = true }), []mask.Cell{hide, nil}, "\"a\nb\",c\nx,y\n", "\"a\nb\",c\nHIDDEN,y\n"},
		"csv end marker":     {plainCSV, []mask.Cell{keep}, "\"\\.\"\n", "\"\\.\"\n"},
		"csv no end marker":  {plainCSV, []mask.Cell{keep, keep}, "\\.,1\n", "\\.,1\n"},
		"no columns":         {plainText, []mask.Cell{hide}, "\n\n", "HIDDEN\nHIDDEN\n"},
		"binary": {
			Format{Kind: Binary}, []mask.Cell{nil, hide, hide, drop},
			string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x02xx\x00\x04\x00\x00\x00\x011\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x03abc\xff\xff",
			string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x02xx\x00\x04\x00\x00\x00\x011\xff\xff\xff\xff\x00\x00\x00\x06HIDDEN\xff\xff\xff\xff\xff\xff",
		},
	} {
		for _, size := range []int{1, 2, 7, len(c.in)} {
			got, _, err := inPieces(c.format, c.cells, []byte(c.in), size)
			if err != nil || string(got) != c.want {
				t.Errorf("%s, in pieces of %d: %q, want %q (%v)", name, size, got, c.want, err)
			}
		}
	}
}

// inPieces masks data that comes in pieces of a size.
func inPieces(f Format, cells []mask.Cell, in []byte, size int) (out, originals []byte, err error) {
	s, err := New(f, cells, nil, 1<<20)
	if err != nil {
		return nil, nil, err
	}
	for len(in) > 0 {
		n := min(size, len(in))
		if out, originals, err = s.Append(out, originals, in[:n]); err != nil {
			return out, originals, err
		}
		in = in[n:]
	}
	return out, originals, s.Close()
}

// What the server does not write is refused, and nothing of the row is delivered.
func TestStreamRefuses(t *testing.T) {
	two := []mask.Cell{hide, nil}
	for name, c := range map[string]struct {
		format Format
		in     string
	}{
		"a column too few":       {plainText, "secret\n"},
		"a column too many":      {plainText, "secret\tb\tc\n"},
		"an unknown escape":      {plainText, "secret\\x41\tb\n"},
		"a backslash at the end": {plainText, "secret\tb\\\n"},
		"half a row":             {plainText, "secret\tb"},
		"csv: a column too few":  {plainCSV, "\"secret,b\"\n"},
		"csv: quote in a field":  {plainCSV, "sec\"ret,b\"\n"},
		"csv: behind a quote":    {plainCSV, "\"secret\"x,b\n"},
		"csv: a quote is open":   {plainCSV, "\"secret,b\n"},
		"binary: text":           {Format{Kind: Binary}, "secret\tb\n"},
		"binary: flags":          {Format{Kind: Binary}, string(signature) + "\x00\x01\x00\x00\x00\x00\x00\x00secret"},
		"binary: columns":        {Format{Kind: Binary}, string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01x\xff\xff"},
		"binary: a size":         {Format{Kind: Binary}, string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff\xff\xfesecret"},
		"binary: behind the end": {Format{Kind: Binary}, string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xffsecret"},
		"binary: no end":         {Format{Kind: Binary}, string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		out, originals, err := inPieces(c.format, two, []byte(c.in), len(c.in))
		if !errors.Is(err, ErrData) || bytes.Contains(out, []byte("secret")) {
			t.Errorf("%s: %q, %q, %v", name, out, originals, err)
		}
	}
	s, err := New(plainText, two, nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Append(nil, nil, []byte(strings.Repeat("x", 11))); !errors.Is(err, ErrRowSize) {
		t.Errorf("a row that is too large: %v", err)
	}
	if _, err := New(Format{}, two, nil, 10); err == nil {
		t.Error("the zero format was taken")
	}
}

func TestOriginals(t *testing.T) {
	s, err := New(plainText, []mask.Cell{nil, hide, nil, hide}, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	_, originals, err := s.Append(nil, nil, []byte("1\ta\\tb\tx\tc\n2\t\\N\tx\t\\N\n3\t\\N\tx\td\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "D\x00\x00\x00\x1a\x00\x04\xff\xff\xff\xff\x00\x00\x00\x03a\tb\xff\xff\xff\xff\x00\x00\x00\x01c" +
		"D\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x01d"
	if string(originals) != want {
		t.Errorf("got %q, want %q", originals, want)
	}
	if n := s.Counts(); n[0] != 0 || n[1] != 1 || n[3] != 2 {
		t.Errorf("counted %v", n)
	}
}

// A masked row costs no memory in steady state.
func TestStreamDoesNotAllocate(t *testing.T) {
	for _, f := range []Format{plainText, plainCSV} {
		s, err := New(f, []mask.Cell{nil, hide}, nil, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		row := []byte("something that passes" + string(f.Delimiter) + "something that does not\n")
		var out, originals []byte
		if n := testing.AllocsPerRun(100, func() { out, originals, _ = s.Append(out[:0], originals[:0], row) }); n > 0 {
			t.Errorf("%v allocations a row", n)
		}
	}
}

// Whatever comes, in whatever pieces: what is delivered is the same, no value of a
// masked column is in it, and giving values back gives the same bytes.
func FuzzStream(f *testing.F) {
	f.Add(uint8(1), byte('\t'), `\N`, byte(0), byte(0), []byte("1\tsecret\n"), uint8(3))
	f.Add(uint8(2), byte(','), "", byte('"'), byte('"'), []byte("1,\"sec\nret\"\"\"\n"), uint8(1))
	f.Add(uint8(2), byte(';'), "x", byte('\''), byte('\\'), []byte("1;'s\\'e\n'\n"), uint8(2))
	f.Add(uint8(3), byte(0), "", byte(0), byte(0), []byte(string(signature)+"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff\xff\xff\x00\x00\x00\x06secret\xff\xff"), uint8(5))
	f.Fuzz(func(t *testing.T, kind uint8, delimiter byte, null string, quote, escape byte, in []byte, size uint8) {
		format := Format{Kind: Kind(kind), Delimiter: delimiter, Null: null, Quote: quote, Escape: escape}
		if kind < 1 || kind > 3 || kind == 1 && !bytes.ContainsRune([]byte("\t|,;"), rune(delimiter)) {
			return
		}
		if kind == 2 && (delimiter == quote || delimiter == '\n' || quote == '\n' || escape == '\n' || strings.ContainsAny(null, string([]byte{delimiter, quote, '\n', '\r'}))) {
			return
		}
		cells := []mask.Cell{nil, hide}
		whole, originals, err := inPieces(format, cells, in, max(1, len(in)))
		pieces, again, errPieces := inPieces(format, cells, in, max(1, int(size)))
		if (err == nil) != (errPieces == nil) {
			t.Fatalf("whole: %v, in pieces: %v", err, errPieces)
		}
		if !bytes.Equal(whole, pieces) || !bytes.Equal(originals, again) {
			t.Fatalf("whole %q, in pieces %q", whole, pieces)
		}
		if err != nil {
			return
		}
		spy := func(dst, value []byte) ([]byte, bool) {
			if string(value) != "HIDDEN" {
				t.Fatalf("%q was delivered in %q", value, whole)
			}
			return dst, true
		}
		if _, _, err := inPieces(format, []mask.Cell{nil, spy}, whole, max(1, len(whole))); err != nil {
			t.Fatalf("what is delivered cannot be read: %v", err)
		}
	})
}

func BenchmarkStream(b *testing.B) {
	m, err := mask.New(mask.Keys{HMAC: make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	cells := make([]mask.Cell, 8)
	for _, i := range []int{2, 5} {
		if cells[i], err = m.Cell(mask.Spec{With: mask.Partial, KeepLast: 4}, 25, false, nil); err != nil {
			b.Fatal(err)
		}
	}
	for name, f := range map[string]Format{"text": plainText, "csv": plainCSV} {
		b.Run(name, func(b *testing.B) {
			fields := make([]string, 8)
			for i := range fields {
				fields[i] = strings.Repeat(string(rune('a'+i)), 32)
			}
			row := []byte(strings.Join(fields, string(f.Delimiter)) + "\n")
			s, err := New(f, cells, nil, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(row)))
			b.ReportAllocs()
			var out, originals []byte
			for b.Loop() {
				if out, originals, err = s.Append(out[:0], originals[:0], row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
