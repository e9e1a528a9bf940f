package conformance

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // what a statement may compute is looked for
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// form is one way in which a canary may show.
type form struct {
	what   string // as the report says it
	whole  bool   // the value itself, not only something made from it
	column string
	bytes  []byte // in lower case where text is
	text   bool   // case does not matter
}

// window is how many characters of a value in a row are a part of it: what is
// shorter occurs by chance, and masks may keep four.
const window = 6

// epoch is day 0 of PostgreSQL's dates and timestamps.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// forms are all ways in which a canary may show.
func (c *canary) forms() []form {
	f := &shapes{column: c.column}
	f.text("raw", true, c.text)
	switch c.kind {
	case words:
		f.coded([]byte(c.text))
		f.windows(c.text)
	case whole:
		n, _ := strconv.ParseInt(c.text, 10, 64)
		f.coded([]byte(c.text))
		f.number(n)
	case decimal:
		n, _ := strconv.ParseFloat(c.text, 64)
		f.text("raw", true, strings.ReplaceAll(c.text, ".", ""))
		f.raw("binary", true, binary.BigEndian.AppendUint64(nil, math.Float64bits(n)))
		f.raw("binary", true, numeric(c.text))
	case date:
		t, _ := time.Parse(time.DateOnly, c.text)
		days := int64(t.Sub(epoch) / (24 * time.Hour))
		f.raw("binary", true, binary.BigEndian.AppendUint32(nil, uint32(int32(days)))) //nolint:gosec // in range
		f.text("raw", true, t.Format("20060102"), t.Format("02.01.2006"), t.Format("01/02/2006"), t.Format("01-02-2006"))
	case instant:
		t, _ := time.Parse(time.DateTime, c.text)
		f.raw("binary", true, binary.BigEndian.AppendUint64(nil, uint64(t.Sub(epoch).Microseconds()))) //nolint:gosec // the same bits
		f.text("raw", true, t.Format("2006-01-02T15:04:05"), strconv.FormatInt(t.Unix(), 10))
	case uuid:
		bare := strings.ReplaceAll(c.text, "-", "")
		b, _ := hex.DecodeString(bare)
		f.text("raw", true, bare)
		f.coded([]byte(c.text))
		f.coded(b)
	case raw:
		b, _ := hex.DecodeString(c.text)
		f.raw("binary", true, b)
		f.coded(b)
		for i := 0; i+window <= len(b); i++ {
			f.raw("split", false, b[i:i+window])
			f.text("split hex", false, hex.EncodeToString(b[i:i+window]))
		}
	}
	return f.all
}

// shapes gathers the forms of one canary.
type shapes struct {
	column string
	all    []form
}

func (s *shapes) text(what string, whole bool, texts ...string) {
	for _, t := range texts {
		if len(t) >= window { // a number may be short on one side
			s.all = append(s.all, form{what, whole, s.column, []byte(strings.ToLower(t)), true})
		}
	}
}

func (s *shapes) raw(what string, whole bool, b []byte) {
	if len(b) >= 4 && len(bytes.Trim(b, "\x00\xff")) > 2 {
		s.all = append(s.all, form{what, whole, s.column, b, false})
	}
}

// coded adds what functions of PostgreSQL make of a text.
func (s *shapes) coded(b []byte) {
	back := slices.Clone(b)
	slices.Reverse(back)
	s.raw("reversed", false, back)
	s.raw("utf16", false, []byte(strings.Join(strings.Split(string(b), ""), "\x00")))
	s.codes("", b)
	s.text("reversed", false, string(back))
	sum5, sum1 := md5.Sum(b), sha1.Sum(b) //nolint:gosec // as above
	s224, s256, s384, s512 := sha256.Sum224(b), sha256.Sum256(b), sha512.Sum384(b), sha512.Sum512(b)
	for name, sum := range map[string][]byte{
		"md5": sum5[:], "sha1": sum1[:], "sha224": s224[:], "sha256": s256[:], "sha384": s384[:], "sha512": s512[:],
	} {
		s.raw(name, false, sum)
		s.codes(name+" ", sum)
	}
	s.text("crc32", false, strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10),
		strconv.FormatUint(uint64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), 10))
}

// codes adds hexadecimal, and base64 at each of the three alignments.
func (s *shapes) codes(of string, b []byte) {
	s.text(of+"hex", false, hex.EncodeToString(b))
	for skip := range 3 {
		if part := b[min(skip, len(b)):]; len(part) >= window {
			code := base64.RawStdEncoding.EncodeToString(part[:len(part)/3*3])
			s.raw(of+"base64", false, []byte(code))
			s.raw(of+"base64", false, []byte(strings.NewReplacer("+", "-", "/", "_").Replace(code)))
		}
	}
}

// windows adds the parts of a text, forwards and backwards.
func (s *shapes) windows(text string) {
	for i := 0; i+window <= len(text); i++ {
		part := []byte(text[i : i+window])
		s.text("split", false, string(part))
		slices.Reverse(part)
		s.text("split reversed", false, string(part))
		s.text("split hex", false, hex.EncodeToString(part))
	}
}

// number adds how a whole number is written otherwise.
func (s *shapes) number(n int64) {
	if n == int64(int32(n)) { //nolint:gosec // that is the question
		s.raw("binary", true, binary.BigEndian.AppendUint32(nil, uint32(int32(n)))) //nolint:gosec // the same bits
	} else {
		s.raw("binary", true, binary.BigEndian.AppendUint64(nil, uint64(n))) //nolint:gosec // the same bits
	}
	s.raw("binary", true, numeric(strconv.FormatInt(n, 10)))
	if n > 0 {
		s.text("hex", false, strconv.FormatInt(n, 16))
		s.text("bits", false, strconv.FormatInt(n, 2))
		s.text("octal", false, strconv.FormatInt(n, 8))
	}
}

// numeric are the digits of a number as numeric has them in binary: in base 10,000
// (PostgreSQL source, numeric_send).
func numeric(text string) []byte {
	front, back, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	front = strings.Repeat("0", (4-len(front)%4)%4) + front
	if back != "" {
		back += strings.Repeat("0", (4-len(back)%4)%4)
	}
	var b []byte
	for digits := front + back; digits != ""; digits = digits[4:] {
		n, _ := strconv.ParseUint(digits[:4], 10, 16)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return b
}
