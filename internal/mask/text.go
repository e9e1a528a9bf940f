package mask

import (
	"encoding/hex"
	"unicode"
	"unicode/utf8"
)

// hashBytes is how much of a digest stands for a hidden text: 128 bits.
const hashBytes = 16

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
// be kept whole is hidden whole.
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
		r, n := utf8.DecodeRune(rest)
		switch {
		case !covered(r):
			dst = append(dst, rest[:n]...)
		case seen < from || seen >= to:
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
	ascii = true
	for i := 0; i < len(value); {
		if c := value[i]; c < utf8.RuneSelf {
			if coveredASCII[c] {
				n++
			}
			i++
			continue
		}
		_, size := utf8.DecodeRune(value[i:])
		ascii = false
		n++
		i += size
	}
	return n, ascii
}

// covered says whether a character carries meaning and so is hidden. Only
// ASCII punctuation and space show: other scripts' signs may be words.
func covered(r rune) bool { return r >= utf8.RuneSelf || coveredASCII[r] }

// coveredASCII is covered for ASCII: letters, digits and control characters.
var coveredASCII = func() (set [256]bool) {
	for c := range utf8.RuneSelf {
		set[c] = unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || unicode.IsControl(rune(c))
	}
	return set
}()

// fake puts other letters and digits in the places of letters and digits.
// Equal values get equal fakes.
func (m *Masker) fake(dst, value []byte) []byte {
	stream := newKeyStream(m, value)
	for rest := value; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r >= '0' && r <= '9':
			dst = append(dst, '0'+stream.below(10))
		case r >= 'a' && r <= 'z':
			dst = append(dst, 'a'+stream.below(26))
		case r >= 'A' && r <= 'Z':
			dst = append(dst, 'A'+stream.below(26))
		case covered(r):
			dst = append(dst, 'x')
		default:
			dst = append(dst, rest[:n]...)
		}
		rest = rest[n:]
	}
	return dst
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
