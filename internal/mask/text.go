package mask

import (
	"bytes"
	"encoding/hex"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// hashBytes is how much of a digest stands for a hidden text: 128 bits.
const hashBytes = 16

// textCell masks the types that are texts in either format.
func (b builder) textCell() Cell {
	switch b.spec.With {
	case DateTrunc, Range:
		return nil
	}
	m, s := b.m, b.spec
	return func(dst, value []byte) ([]byte, bool) { return m.text(s, dst, value) }
}

// paddedCell masks char(n). Blanks at the end are no part of the value: two that
// differ in them are equal, as to the server.
func (b builder) paddedCell() Cell {
	text := b.textCell()
	if text == nil {
		return nil
	}
	return func(dst, value []byte) ([]byte, bool) {
		bare := bytes.TrimRight(value, " ")
		dst, null := text(dst, bare)
		if b.spec.With != Hash { // which is not as long as the value in any case
			dst = append(dst, value[len(bare):]...)
		}
		return dst, null
	}
}

// byteCell masks "char", one byte. There are too few of them for a digest.
func (b builder) byteCell() Cell {
	if b.spec.With != Partial && b.spec.With != Fake {
		return nil
	}
	m, fake := b.m, b.spec.With == Fake
	return func(dst, value []byte) ([]byte, bool) {
		if fake && len(value) == 1 && value[0] < utf8.RuneSelf && covered(rune(value[0])) {
			return m.fake(dst, value), false
		}
		return append(dst, '*'), false
	}
}

// text hides a text in UTF-8. It appends to dst; null says that the text has no
// replacement under this spec.
func (m *Masker) text(s Spec, dst, value []byte) (out []byte, null bool) {
	switch s.With {
	case Null, DateTrunc, Range:
		return dst, true
	case Partial:
		return partial(s, dst, value), false
	case Hash:
		sum := m.sum(value)
		return hex.AppendEncode(dst, sum[:hashBytes]), false
	case Fake:
		return m.fake(dst, value), false
	default:
		return append(dst, Redacted...), false
	}
}

// partial keeps punctuation and the outer letters and digits. A text that would
// be kept whole is hidden whole. What people see as one character (a grapheme
// cluster, Unicode Standard Annex 29) is kept or hidden as one.
func partial(s Spec, dst, value []byte) []byte {
	total, ascii := countCovered(value)
	from, to := s.KeepFirst, total-s.KeepLast // what is hidden, counted in covered characters
	if from >= to {
		from, to = 0, total
	}
	if ascii {
		return partialASCII(dst, value, from, to)
	}
	seen := 0
	for rest := value; len(rest) > 0; {
		n := character(rest)
		switch {
		case !coveredCharacter(rest[:n]):
			dst = append(dst, rest[:n]...)
		case (seen < from || seen >= to) && n <= longestKept:
			dst = append(dst, rest[:n]...)
			seen++
		default:
			dst = append(dst, '*')
			seen++
		}
		rest = rest[n:]
	}
	return dst
}

// longestKept bounds a character that is kept, in bytes: any number of marks may
// stand on one letter, and any number of Hangul letters may be one.
const longestKept = 64

// character is the size of the first character of a text that is not empty.
func character(text []byte) int {
	if text[0] < utf8.RuneSelf && (len(text) == 1 || text[1] < utf8.RuneSelf) {
		return 1
	}
	cluster, _, _, _ := uniseg.FirstGraphemeCluster(text, -1)
	return len(cluster)
}

// partialASCII is partial for texts in which each byte is a character.
func partialASCII(dst, value []byte, from, to int) []byte {
	start, seen := len(dst), 0
	dst = append(dst, value...)
	out := dst[start:]
	for i, c := range out {
		if !coveredASCII[c] {
			continue
		}
		if seen >= from && seen < to {
			out[i] = '*'
		}
		seen++
	}
	return dst
}

// countCovered counts the characters that are hidden where nothing is kept.
func countCovered(value []byte) (n int, ascii bool) {
	for _, c := range value {
		if c >= utf8.RuneSelf {
			return countClusters(value), false
		}
		if coveredASCII[c] {
			n++
		}
	}
	return n, true
}

func countClusters(value []byte) (n int) {
	for len(value) > 0 {
		size := character(value)
		if coveredCharacter(value[:size]) {
			n++
		}
		value = value[size:]
	}
	return n
}

// covered says whether a code point carries meaning and so is hidden. Only ASCII
// punctuation and space show: other scripts' signs may be words.
func covered(r rune) bool { return r >= utf8.RuneSelf || coveredASCII[r] }

// coveredCharacter is covered for what may be several code points.
func coveredCharacter(c []byte) bool {
	return len(c) > 1 || coveredASCII[c[0]] || c[0] >= utf8.RuneSelf
}

// coveredASCII is covered for ASCII: letters, digits and control characters.
var coveredASCII = func() (set [256]bool) {
	for c := range utf8.RuneSelf {
		set[c] = unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || unicode.IsControl(rune(c))
	}
	return set
}()

// fake puts other letters and digits in the places of letters and digits, digits of
// a script for digits of that script. Equal values get equal fakes.
func (m *Masker) fake(dst, value []byte) []byte {
	stream := newKeyStream(m, value)
	for rest := value; len(rest) > 0; {
		n := character(rest)
		r, _ := utf8.DecodeRune(rest)
		switch {
		case n == 1 && r < utf8.RuneSelf && !covered(r):
			dst = append(dst, rest[0])
		case r >= '0' && r <= '9':
			dst = append(dst, '0'+stream.below(10))
		case r >= 'a' && r <= 'z':
			dst = append(dst, 'a'+stream.below(26))
		case r >= 'A' && r <= 'Z':
			dst = append(dst, 'A'+stream.below(26))
		case r < utf8.RuneSelf: // a control character, or punctuation with marks
			dst = append(dst, 'x')
		default:
			dst = utf8.AppendRune(dst, fakeRune(stream, r))
		}
		rest = rest[n:]
	}
	return dst
}

// fakeRune stands for a letter or digit that is not ASCII.
func fakeRune(stream *keyStream, r rune) rune {
	zero, ok := zeroOf(r)
	switch {
	case ok:
		return zero + rune(stream.below(10))
	case r >= 'Ａ' && r <= 'Ｚ':
		return 'Ａ' + rune(stream.below(26))
	case r >= 'ａ' && r <= 'ｚ':
		return 'ａ' + rune(stream.below(26))
	case unicode.IsUpper(r):
		return 'A' + rune(stream.below(26))
	case unicode.IsLower(r):
		return 'a' + rune(stream.below(26))
	}
	return 'x'
}

// zeroOf is the digit 0 of the script that r is a digit of. Unicode has decimal
// digits in runs of ten, from 0 to 9 (The Unicode Standard, chapter 4.6).
func zeroOf(r rune) (rune, bool) {
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return r - (r-rune(t.Lo))%10, true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return r - (r-rune(t.Lo))%10, true
		}
	}
	return 0, false
}

// keyStream gives pseudo-random numbers that depend on the key and one value.
type keyStream struct {
	m     *Masker
	block [32]byte
	used  int
}

func newKeyStream(m *Masker, value []byte) *keyStream {
	return &keyStream{m: m, block: m.sum(value)}
}

func (k *keyStream) next() byte {
	if k.used == len(k.block) {
		k.block = k.m.sumOf(k.block[:])
		k.used = 0
	}
	b := k.block[k.used]
	k.used++
	return b
}

// below gives a number from 0 to n-1 without modulo bias.
func (k *keyStream) below(n byte) byte {
	limit := 255 - (255 % n)
	for {
		if b := k.next(); b < limit {
			return b % n
		}
	}
}
