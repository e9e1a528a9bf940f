package detect

import (
	"bytes"
	"encoding/base64"
)

// pem is at a hyphen. A key goes from its BEGIN line to its END line, or as far as
// there is nothing but what a key is written with. It returns where to go on.
func (s *scanner) pem(i int) int {
	const begin = "-----BEGIN "
	if !hasPrefix(s.text, i, begin) {
		return i + 1 // one of five may be the next
	}
	label := i + len(begin)
	rest := s.text[label:min(len(s.text), label+longestLabel)]
	n := bytes.Index(rest, []byte("-----"))
	if n < 0 || !bytes.Contains(rest[:n], []byte("PRIVATE KEY")) {
		return label
	}
	start, within := headers(s.text, label+n+5)
	end, material, open := body(s.text, start)
	open = open || within
	if open && s.open < 0 {
		s.open = i
	}
	if material < leastMaterial {
		return start
	}
	return s.add(i, end, PrivateKey)
}

const (
	longestLabel  = 64
	leastMaterial = 32 // characters of base64 of a key
)

// body is where the body of a PEM block ends, with its END line, and how many
// characters of base64 it has. It is open where the text ends before it. Line ends
// may be written as \n.
func body(text []byte, i int) (end, material int, open bool) {
	end = i
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case isBase64(c):
			material++
			end = i + 1
		case c == '-' && hasPrefix(text, i, "-----END "):
			rest := text[i+9 : min(len(text), i+9+longestLabel)]
			if n := bytes.Index(rest, []byte("-----")); n >= 0 {
				return i + 9 + n + 5, material, false
			}
			return end, material, len(rest) < longestLabel
		case !inKey(c):
			return end, material, false
		}
	}
	return end, material, true
}

// headers skips the lines of an armor that say whose it is (RFC 9580, section 6.2.2).
// They may hold any text. It is within one where the text ends there.
func headers(text []byte, i int) (next int, within bool) {
	for {
		line := i
		for line < len(text) && (text[line] == '\r' || text[line] == '\n') {
			line++
		}
		rest := text[line:min(len(text), line+longestArmorHeader)]
		end := bytes.IndexByte(rest, '\n')
		name := 0
		for name < len(rest) && name < longestArmorName && (isLetter(rest[name]) || rest[name] == '-') {
			name++
		}
		if name == 0 || !bytes.HasPrefix(rest[name:], []byte(": ")) {
			return i, false
		}
		if end < 0 {
			return i, len(rest) < longestArmorHeader
		}
		i = line + end
	}
}

const (
	longestArmorHeader = 256 // a line of an armor, in bytes
	longestArmorName   = 24  // what it begins with
)

// inKey says whether a byte may stand in a PEM block: base64, line ends, headers
// (RFC 1421), the mark of a quoted line.
func inKey(c byte) bool {
	switch c {
	case ' ', '\n', '\r', '\t', '\\', ',', ':', '-', '>':
		return true
	default:
		return isBase64(c)
	}
}

// token is at the J of "eyJ", which is {" in base64url. It returns where to go on
// behind a token, or i.
func (s *scanner) token(i int) int {
	start := i - 2
	if start < s.from || s.text[start] != 'e' || s.text[start+1] != 'y' {
		return i
	}
	if start >= s.segment {
		for s.segment = start; s.segment < len(s.text) && isBase64URL(s.text[s.segment]); s.segment++ {
		}
	}
	dot := s.segment
	if s.at(dot) != '.' || dot-start > longestHeader || !s.header(s.text[start:dot]) {
		return i
	}
	end := dot
	for end < len(s.text) && (isBase64URL(s.text[end]) || s.text[end] == '.' && end+1 < len(s.text) && (isBase64URL(s.text[end+1]) || s.text[end+1] == '.')) {
		end++
	}
	if end-dot < 3 {
		return i
	}
	return s.add(start, end, JWT)
}

// longestHeader bounds the header of a token, in characters.
const longestHeader = 2048

func isBase64URL(c byte) bool { return isDigit(c) || isLetter(c) || c == '-' || c == '_' }

// header says whether a segment is the header of a token: it names an algorithm
// (RFC 7515, section 4.1.1; RFC 7516, section 4.1). A text that has far more such
// beginnings than its length explains is taken at its word.
func (s *scanner) header(segment []byte) bool {
	if s.decoded > len(s.text)+8<<10 {
		return true
	}
	s.decoded += len(segment)
	var room [longestHeader]byte
	n, err := base64.RawURLEncoding.Decode(room[:], segment)
	return err == nil && bytes.Contains(room[:n], []byte(`"alg"`))
}

func hasPrefix(text []byte, i int, prefix string) bool {
	return len(text)-i >= len(prefix) && string(text[i:i+len(prefix)]) == prefix
}
