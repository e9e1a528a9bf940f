package event

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Scan reads an event as Parse does, but only in the very form that
// AppendCanonical gives it, and without a look into its body: whoever brings
// many events on needs no more. What has another form is left to Parse. The event's
// texts and body stand in canonical, and are good for as long as that is.
func Scan(canonical []byte) (*Event, error) {
	e := &Event{}
	if e.scan(canonical) {
		return e, nil
	}
	return Parse(canonical)
}

const (
	bodyBegin = `{"body":`
	bodyEnd   = `,"event_id":` // a body that has it is left to Parse
)

func (e *Event) scan(canonical []byte) bool {
	end := bytes.Index(canonical, []byte(bodyEnd))
	if end <= len(bodyBegin) || string(canonical[:len(bodyBegin)]) != bodyBegin {
		return false
	}
	e.Body = canonical[len(bodyBegin):end]
	s := scanner{rest: aliased(canonical[end:])}
	e.ID = s.uuid("event_id")
	e.Kind = s.text("kind")
	e.Operation = s.text("operation")
	s.hash("prev", &e.Prev)
	e.Seq = s.number("seq")
	e.Session = s.text("session")
	e.Subject = s.text("subject")
	e.Target = s.text("target")
	e.Time = s.time("ts")
	e.Writer = s.uuid("writer")
	return !s.failed && s.rest == "}" && e.Kind != "" && e.Seq > 0 && e.ID != uuid.Nil && e.Writer != uuid.Nil && !e.Time.IsZero()
}

// scanner takes one member after the other. failed is set at the first that it
// does not know.
type scanner struct {
	rest   string
	failed bool
}

// begin goes to a member's value, and says whether the member is there.
func (s *scanner) begin(name string) bool {
	n := len(name) + len(`,"":`)
	if len(s.rest) <= n || s.rest[2:n-2] != name || s.rest[:2] != `,"` || s.rest[n-2:n] != `":` {
		return false
	}
	s.rest = s.rest[n:]
	return true
}

// text takes a string that may be left out. One with an escape is not known.
func (s *scanner) text(name string) string {
	if !s.begin(name) {
		return ""
	}
	end := -1
	if s.rest[0] == '"' {
		end = strings.IndexByte(s.rest[1:], '"')
	}
	if end < 0 || strings.IndexByte(s.rest[1:1+end], '\\') >= 0 {
		s.failed = true
		return ""
	}
	text := s.rest[1 : 1+end]
	s.rest = s.rest[end+2:]
	return text
}

func (s *scanner) uuid(name string) uuid.UUID {
	text := s.text(name)
	id, err := uuid.Parse(text)
	s.failed = s.failed || err != nil || len(text) != len("00000000-0000-0000-0000-000000000000")
	return id
}

func (s *scanner) hash(name string, h *Hash) {
	text := s.text(name)
	if len(text) != hex.EncodedLen(len(h)) {
		s.failed = true
		return
	}
	_, err := hex.Decode(h[:], []byte(text))
	s.failed = s.failed || err != nil
}

func (s *scanner) number(name string) uint64 {
	s.failed = !s.begin(name) || s.failed
	digits := len(s.rest) - len(strings.TrimLeft(s.rest, "0123456789"))
	n, err := strconv.ParseUint(s.rest[:digits], 10, 64)
	s.failed = s.failed || err != nil
	s.rest = s.rest[digits:]
	return n
}

func (s *scanner) time(name string) time.Time {
	text := s.text(name)
	t, err := time.Parse(time.RFC3339Nano, text) // several times as fast as any other format
	s.failed = s.failed || err != nil || len(text) != len(TimeFormat) || text[13] != ':' || text[19] != '.' || text[26] != 'Z'
	return t
}
