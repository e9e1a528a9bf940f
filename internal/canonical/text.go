package canonical

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// plainASCII says which bytes below 0x80 stand in a string as they are.
func plainASCII(c byte) bool { return c >= 0x20 && c != '"' && c != '\\' }

// AppendString appends s as a string (RFC 8785, section 3.2.2.2). U+FFFD stands
// for each byte that is no UTF-8.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0
	for i := plainBegin(s); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if plainASCII(c) {
				continue
			}
			dst = appendEscape(append(dst, s[done:i-1]...), c)
			done = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, s[done:i]...), "\ufffd"...)
			done = i + 1
		}
		i += size
	}
	return append(append(dst, s[done:]...), '"')
}

// plainBegin is how many bytes at the beginning of s surely stand as they are. It
// looks at eight at a time. A byte is zero where (b-1) &^ b has its highest bit
// ("Bit Twiddling Hacks", Determine if a word has a zero byte), below 0x20 where
// (b-0x20) &^ b has; a byte may be taken for one of these because of the one
// before, never the other way.
func plainBegin(s string) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		eight := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, backslash := eight^each*'"', eight^each*'\\'
		if (eight|(eight-each*0x20)&^eight|(quote-each)&^quote|(backslash-each)&^backslash)&high != 0 {
			break
		}
	}
	return i
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}

// texts are the long texts of a value, where it is written with AppendShort.
type texts struct {
	keep   int // bytes of a text's form up to which it is a short one; 0: all are
	omit   int // bytes of a text from which it is not even written
	long   []LongText
	opaque bool // a long value was written of which only the form is known
}

// LongText is a text that stands, or would stand, at Start to End.
type LongText struct {
	Start, End int
	Text       string
}

// text appends a string that is a value.
func (w *writer) text(s string) {
	start := len(w.buf)
	if w.keep == 0 || len(s) < w.omit {
		w.buf = AppendString(w.buf, s)
	}
	if w.keep > 0 && (len(s) >= w.omit || len(w.buf)-start > w.keep) {
		w.long = append(w.long, LongText{Start: start, End: len(w.buf), Text: s})
	}
}
