package postgres

import (
	"errors"
	"slices"
	"strings"
)

// token is a word of a replication command.
type token struct {
	kind tokenKind
	text string // of a name without its quotes, in lower case where it had none; of a string its value
}

type tokenKind uint8

const (
	tokenEnd      tokenKind = iota // of the text
	tokenKeyword                   // text is the keyword
	tokenName                      // an identifier
	tokenString                    // in single quotes
	tokenNumber                    // decimal digits
	tokenPosition                  // in the WAL: hexadecimal digits on both sides of a slash
	tokenSign                      // any other character
)

// replicationKeywords are words only as they stand here, in upper case.
var replicationKeywords = []string{
	"BASE_BACKUP", "IDENTIFY_SYSTEM", "READ_REPLICATION_SLOT", "SHOW", "TIMELINE", "START_REPLICATION",
	"CREATE_REPLICATION_SLOT", "DROP_REPLICATION_SLOT", "ALTER_REPLICATION_SLOT", "TIMELINE_HISTORY", "PHYSICAL",
	"RESERVE_WAL", "LOGICAL", "SLOT", "TEMPORARY", "TWO_PHASE", "EXPORT_SNAPSHOT", "NOEXPORT_SNAPSHOT",
	"USE_SNAPSHOT", "WAIT", "UPLOAD_MANIFEST",
}

var errUnterminated = errors.New("unterminated quoted string")

// scanner cuts a text into words as the server does for a connection for
// replication (repl_scanner.l): there are no comments, and no backslashes.
type scanner struct{ rest string }

// next takes the next word.
func (s *scanner) next() (token, error) {
	s.rest = strings.TrimLeft(s.rest, " \t\n\r\f\v")
	if s.rest == "" {
		return token{}, nil
	}
	switch s.rest[0] {
	case '\'':
		text, err := s.quoted('\'')
		return token{tokenString, text}, err
	case '"':
		text, err := s.quoted('"')
		return token{tokenName, text}, err
	}
	// The longest match counts, so a position comes before the name or number that it
	// begins like.
	if n := positionLength(s.rest); n > 0 {
		return token{tokenPosition, s.cut(n)}, nil
	}
	if n := length(s.rest, isDigit); n > 0 {
		return token{tokenNumber, s.cut(n)}, nil
	}
	if n := nameLength(s.rest); n > 0 {
		word := s.cut(n)
		if slices.Contains(replicationKeywords, word) {
			return token{tokenKeyword, word}, nil
		}
		return token{tokenName, strings.ToLower(word)}, nil
	}
	return token{tokenSign, s.cut(1)}, nil
}

func (s *scanner) cut(n int) string {
	text := s.rest[:n]
	s.rest = s.rest[n:]
	return text
}

// quoted takes what stands in quotes; a quote in it is written twice.
func (s *scanner) quoted(quote byte) (string, error) {
	var text strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch {
		case s.rest[i] != quote:
			text.WriteByte(s.rest[i])
		case i+1 < len(s.rest) && s.rest[i+1] == quote:
			text.WriteByte(quote)
			i++
		default:
			s.rest = s.rest[i+1:]
			return text.String(), nil
		}
	}
	s.rest = ""
	return "", errUnterminated
}

func length(text string, of func(byte) bool) int {
	n := 0
	for n < len(text) && of(text[n]) {
		n++
	}
	return n
}

func nameLength(text string) int {
	if text == "" || isDigit(text[0]) || text[0] == '$' {
		return 0
	}
	return length(text, func(c byte) bool {
		return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 0x80
	})
}

func positionLength(text string) int {
	high := length(text, isHex)
	if high == 0 || high == len(text) || text[high] != '/' {
		return 0
	}
	low := length(text[high+1:], isHex)
	if low == 0 {
		return 0
	}
	return high + 1 + low
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
