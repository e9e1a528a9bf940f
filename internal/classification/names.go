package classification

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"
)

// name is one part of a dotted name.
type name struct {
	raw    string // as written, without quotes
	folded string // as PostgreSQL stores it
}

// splitName reads names joined by dots. Case is as in PostgreSQL (Lexical
// Structure, "Identifiers and Key Words"): a bare name is stored in lower case,
// a quoted one as it stands, with "" for a quote in it.
func splitName(text string) ([]name, error) {
	var names []name
	for rest := text; ; {
		n, after, err := nextName(rest)
		if err != nil {
			return nil, err
		}
		names = append(names, n)
		if after == "" {
			return names, nil
		}
		if after[0] != '.' {
			return nil, errors.New("a quoted name goes on after its quote")
		}
		rest = after[1:]
	}
}

// Names reads names joined by dots, as PostgreSQL stores them.
func Names(text string) ([]string, error) {
	parts, err := splitName(text)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.folded
	}
	return names, nil
}

func nextName(text string) (n name, rest string, err error) {
	if strings.HasPrefix(text, `"`) {
		return quotedName(text[1:])
	}
	end := strings.IndexByte(text, '.')
	if end < 0 {
		end = len(text)
	}
	raw := text[:end]
	switch {
	case raw == "":
		return name{}, "", errors.New("a name is missing")
	case strings.ContainsAny(raw, "\" \t\r\n"):
		return name{}, "", errors.New("a name with a blank or a quote must be quoted")
	case strings.Contains(raw, Any) && raw != Any:
		return name{}, "", errors.New("* stands for a whole name, not for a part of one")
	case !utf8.ValidString(raw):
		return name{}, "", errors.New("a name is not UTF-8")
	}
	return name{raw: raw, folded: fold(raw)}, text[end:], nil
}

// quotedName reads a name whose opening quote is behind it.
func quotedName(text string) (n name, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if strings.HasPrefix(text[i:], `""`) {
			b.WriteByte('"')
			i++
			continue
		}
		s := b.String()
		switch {
		case s == "":
			return name{}, "", errors.New("a quoted name is empty")
		case s == Any:
			return name{}, "", errors.New("a name that is * cannot be classified by itself")
		case !utf8.ValidString(s):
			return name{}, "", errors.New("a name is not UTF-8")
		}
		return name{raw: s, folded: s}, text[i+1:], nil
	}
	return name{}, "", errors.New("a quote is not closed")
}

// fold lowers ASCII letters, and only those, as PostgreSQL does with UTF-8.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

var classPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$`)

func isClass(s string) bool { return len(s) <= 128 && classPattern.MatchString(s) }

// step is one step of a JSONPath; the forms are RFC 9535's child, descendant
// and wildcard segments, as far as values can be found by them in a stream.
var step = regexp.MustCompile(`^(\.{1,2}[A-Za-z_\x{80}-\x{10FFFF}][0-9A-Za-z_\x{80}-\x{10FFFF}-]*|\[\*\]|\['[^'\\]+'\]|\["[^"\\]+"\])`)

// checkPath says what is wrong with a JSONPath.
func checkPath(path string) error {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return errors.New("a path begins with $")
	}
	if rest == "" {
		return errors.New("the path names no value")
	}
	if len(path) > 1024 || !utf8.ValidString(path) {
		return errors.New("the path is longer than 1024 bytes or not UTF-8")
	}
	for rest != "" {
		s := step.FindString(rest)
		if s == "" {
			return errors.New("cannot read the path from " + rest)
		}
		rest = rest[len(s):]
	}
	return nil
}
