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
	total := 0
	for rest := value; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if covered(r) {
			total++
		}
		rest = rest[n:]
	}
	first, last := s.KeepFirst, s.KeepLast
	if first+last >= total {
		first, last = 0, 0
	}
	seen := 0
	for rest := value; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case !covered(r):
			dst = append(dst, rest[:n]...)
		case seen < first || seen >= total-last:
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

// covered says whether a character carries meaning and so is hidden. Only
// ASCII punctuation and space show: other scripts' signs may be words.
func covered(r rune) bool {
	return r >= utf8.RuneSelf || r == utf8.RuneError || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsControl(r)
}

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
		k.block = k.m.sum(k.block[:])
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
