package canonical

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// shortNumber is the length up to which every plain decimal is the only one of
// its length that its double stands for (DBL_DIG).
const shortNumber = 15

// quoteInexact returns raw with each number that a double cannot hold exactly
// turned into a string. raw must be valid JSON; it is returned as it is when
// there is no such number, which is nearly always.
func quoteInexact(raw []byte) []byte {
	var out []byte
	copied := 0
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			i = stringEnd(raw, i)
		case c == '-' || '0' <= c && c <= '9':
			end := numberEnd(raw, i)
			if text := raw[i:end]; !exact(text) {
				out = append(out, raw[copied:i]...)
				out = append(out, '"')
				out = append(out, text...)
				out = append(out, '"')
				copied = end
			}
			i = end
		default:
			i++
		}
	}
	if copied == 0 {
		return raw
	}
	return append(out, raw[copied:]...)
}

// stringEnd is the index after the string that starts at i.
func stringEnd(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// numberEnd is the index after the number that starts at i.
func numberEnd(raw []byte, i int) int {
	for i < len(raw) && strings.IndexByte("+-.eE0123456789", raw[i]) >= 0 {
		i++
	}
	return i
}

// exact says whether the canonical form of a number has the number's value.
func exact(text []byte) bool {
	if len(text) <= shortNumber && !strings.ContainsAny(string(text), "eE") {
		return true
	}
	canonical := jsontext.Value(append([]byte(nil), text...))
	if err := canonical.Canonicalize(); err != nil {
		return false
	}
	if string(canonical) == string(text) {
		return true
	}
	a, aOK := decimalOf(string(text))
	b, bOK := decimalOf(string(canonical))
	return aOK && bOK && a == b
}

// decimal is a number without its ways of writing: 0.digits x 10^exponent.
type decimal struct {
	negative bool
	digits   string // no leading or trailing zero; "" is zero
	exponent int
}

func decimalOf(text string) (decimal, bool) {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa := text
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		n, err := strconv.Atoi(text[i+1:])
		if err != nil {
			return d, false
		}
		d.exponent = n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent += len(whole)
	digits := whole + fraction
	d.digits = strings.TrimLeft(digits, "0")
	d.exponent -= len(digits) - len(d.digits)
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{}, true
	}
	return d, true
}
