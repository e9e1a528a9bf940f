package event

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/canonical"
)

// TimeFormat is how an event writes its time: UTC, microseconds, fixed width.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// Event is one fact with all that the recorder adds to it. Its canonical bytes
// are made once, hashed, and kept; they are never encoded again.
type Event struct {
	ID        uuid.UUID // version 7
	Writer    uuid.UUID // one per start of a recorder
	Seq       uint64    // 1, 2, 3, … for each writer, without a gap
	Prev      Hash      // the leaf hash of the writer's event before; zero for its first
	Time      time.Time
	Kind      string
	Session   string
	Operation string
	Target    string
	Subject   string
	Body      []byte // canonical JSON
	Notes     []byte // canonical JSON of what the recorder itself has to say; nil for nothing
}

// AppendCanonical appends the event in canonical form (RFC 8785), one line
// without its end: a JSON object with its names in order. Empty texts are left
// out.
func (e *Event) AppendCanonical(dst []byte) []byte {
	dst = append(dst, `{"body":`...)
	dst = append(dst, e.Body...)
	dst = append(dst, `,"event_id":"`...)
	dst = appendUUID(dst, e.ID)
	dst = append(dst, `","kind":`...)
	dst = canonical.AppendString(dst, e.Kind)
	if e.Operation != "" {
		dst = canonical.AppendString(append(dst, `,"operation":`...), e.Operation)
	}
	dst = append(dst, `,"prev":"`...)
	dst = hex.AppendEncode(dst, e.Prev[:])
	dst = append(dst, '"')
	if len(e.Notes) > 0 {
		dst = append(append(dst, `,"recorder":`...), e.Notes...)
	}
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	if e.Session != "" {
		dst = canonical.AppendString(append(dst, `,"session":`...), e.Session)
	}
	if e.Subject != "" {
		dst = canonical.AppendString(append(dst, `,"subject":`...), e.Subject)
	}
	if e.Target != "" {
		dst = canonical.AppendString(append(dst, `,"target":`...), e.Target)
	}
	dst = append(dst, `,"ts":"`...)
	dst = appendTime(dst, e.Time.UTC())
	dst = append(dst, `","writer":"`...)
	dst = appendUUID(dst, e.Writer)
	return append(dst, `"}`...)
}

func appendUUID(dst []byte, id uuid.UUID) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}

// appendTime appends a time in UTC as TimeFormat has it.
func appendTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, TimeFormat)
	}
	hour, minute, second := t.Clock()
	dst = append(appendDigits(dst, 4, year), '-')
	dst = append(appendDigits(dst, 2, int(month)), '-')
	dst = append(appendDigits(dst, 2, day), 'T')
	dst = append(appendDigits(dst, 2, hour), ':')
	dst = append(appendDigits(dst, 2, minute), ':')
	dst = append(appendDigits(dst, 2, second), '.')
	return append(appendDigits(dst, 6, t.Nanosecond()/1000), 'Z')
}

// appendDigits appends the last digits of n.
func appendDigits(dst []byte, digits, n int) []byte {
	end := len(dst) + digits
	dst = append(dst, "000000"[:digits]...)
	for at := end - 1; n > 0 && at >= end-digits; at-- {
		dst[at] += byte(n % 10)
		n /= 10
	}
	return dst
}

// Parse reads an event's canonical bytes. Body and Notes are slices of them. A
// name that this version does not know is passed over: it stays in the bytes.
func Parse(canonical []byte) (*Event, error) {
	e := &Event{}
	// The order of names is looked at here; within a body it costs too much.
	dec := jsontext.NewDecoder(bytes.NewBuffer(canonical), jsontext.AllowDuplicateNames(true))
	last := ""
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, errors.Join(errors.New("event: not a JSON object"), err)
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("event: %w", err)
		}
		key := name.String()
		if key <= last {
			return nil, fmt.Errorf("event: %s comes after %s: not in canonical form", key, last)
		}
		last = key
		value, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("event: %s: %w", key, err)
		}
		end := dec.InputOffset()
		if err := e.set(key, canonical[end-int64(len(value)):end]); err != nil {
			return nil, fmt.Errorf("event: %s: %w", key, err)
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	if dec.InputOffset() != int64(len(canonical)) {
		return nil, errors.New("event: bytes after its end")
	}
	if e.Seq == 0 || e.Kind == "" || e.ID == uuid.Nil || e.Writer == uuid.Nil || e.Time.IsZero() || len(e.Body) == 0 {
		return nil, errors.New("event: body, event_id, kind, seq, ts and writer are required")
	}
	return e, nil
}

// set reads the value of one name.
func (e *Event) set(name string, value []byte) (err error) {
	switch name {
	case "body":
		e.Body = value
		return nil
	case "recorder":
		e.Notes = value
		return nil
	case "seq":
		e.Seq, err = strconv.ParseUint(string(value), 10, 64)
		return err
	}
	if value[0] != '"' {
		return nil // a later version's
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return err
	}
	switch name {
	case "event_id":
		e.ID, err = uuid.ParseBytes(text)
	case "writer":
		e.Writer, err = uuid.ParseBytes(text)
	case "ts":
		e.Time, err = time.Parse(TimeFormat, string(text))
	case "prev":
		if len(text) != hex.EncodedLen(len(e.Prev)) {
			return errors.New("not a SHA-256 hash")
		}
		_, err = hex.Decode(e.Prev[:], text)
	case "kind":
		e.Kind = string(text)
	case "session":
		e.Session = string(text)
	case "operation":
		e.Operation = string(text)
	case "target":
		e.Target = string(text)
	case "subject":
		e.Subject = string(text)
	}
	return err
}
