package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Message types (PostgreSQL, "Message formats"). A letter may mean one thing
// from the client and another from the server.
const (
	msgQuery        = 'Q'
	msgParse        = 'P'
	msgBind         = 'B'
	msgDescribe     = 'D'
	msgExecute      = 'E'
	msgClose        = 'C'
	msgSync         = 'S'
	msgFlush        = 'H'
	msgFunctionCall = 'F'
	msgPassword     = 'p'
	msgTerminate    = 'X'
	msgCopyData     = 'd' // both ways, like the next two
	msgCopyDone     = 'c'
	msgCopyFail     = 'f'

	msgAuthentication   = 'R'
	msgBackendKey       = 'K'
	msgParameterStatus  = 'S'
	msgNegotiate        = 'v'
	msgReady            = 'Z'
	msgError            = 'E'
	msgNotice           = 'N'
	msgNotification     = 'A'
	msgRowDescription   = 'T'
	msgParameterDesc    = 't'
	msgNoData           = 'n'
	msgDataRow          = 'D'
	msgCommandComplete  = 'C'
	msgEmptyQuery       = 'I'
	msgPortalSuspended  = 's'
	msgParseComplete    = '1'
	msgBindComplete     = '2'
	msgCloseComplete    = '3'
	msgFunctionResult   = 'V'
	msgCopyInResponse   = 'G'
	msgCopyOutResponse  = 'H'
	msgCopyBothResponse = 'W'
)

// malformed is what is wrong with a message whose fields cannot be read, in the
// server's words (pqformat.c).
type malformed string

const (
	noString     malformed = "invalid string in message"
	tooShort     malformed = "insufficient data left in message"
	noByte       malformed = "no data left in message"
	wrongMessage malformed = "invalid message format"
)

func (m malformed) Error() string { return string(m) }

// cursor reads the fields of one message. It is strict: what it reads must be
// what the server reads, or the statement that was judged is not the one that
// runs.
type cursor struct {
	b     []byte
	wrong malformed // the first thing that is, "" for nothing
}

func (c *cursor) string() string { return string(c.text()) }

// text reads up to the next zero byte.
func (c *cursor) text() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.fail(noString)
		return nil
	}
	s := c.b[:i]
	c.b = c.b[i+1:]
	return s
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail(tooShort)
		return nil
	}
	s := c.b[:n]
	c.b = c.b[n:]
	return s
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail(noByte)
		return 0
	}
	return c.bytes(1)[0]
}

func (c *cursor) uint16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) fail(wrong malformed) {
	if c.b = nil; c.wrong == "" {
		c.wrong = wrong
	}
}

// end reports a field that was missing, or bytes that are left over.
func (c *cursor) end() error {
	switch {
	case c.wrong != "":
		return c.wrong
	case len(c.b) > 0:
		return wrongMessage
	}
	return nil
}

// body is what follows type and length.
func body(frame []byte) *cursor { return &cursor{b: frame[headerLen:]} }

// parseMessage is Parse: a statement under a name.
type parseMessage struct {
	name, text string
	types      []uint32 // of the parameters; 0 is unspecified
}

func decodeParse(frame []byte) (m parseMessage, err error) {
	c := body(frame)
	m.name, m.text = c.string(), c.string()
	types := cursor{b: c.bytes(4 * int(c.uint16()))}
	for len(types.b) > 0 {
		m.types = append(m.types, types.uint32())
	}
	return m, c.end()
}

// bindMessage is Bind. The values point into the message.
type bindMessage struct {
	portal, statement string
	named             bool   // both names could be read
	formats           []byte // of the parameters, two bytes each
	values            [][]byte
}

func decodeBind(frame []byte, values [][]byte) (m bindMessage, err error) {
	c := body(frame)
	m.portal, m.statement = c.string(), c.string()
	m.named = c.wrong == ""
	m.formats = c.bytes(2 * int(c.uint16()))
	m.values = c.values(values[:0])
	c.bytes(2 * int(c.uint16())) // result formats
	return m, c.end()
}

// values reads a number of values, each with its length, nil for NULL.
func (c *cursor) values(dst [][]byte) [][]byte {
	for range c.uint16() {
		n := int32(c.uint32())
		var v []byte
		if n != -1 {
			v = c.bytes(int(n))
		}
		if c.wrong != "" {
			break
		}
		dst = append(dst, v)
	}
	return dst
}

// format is the format of parameter i: 0 text, 1 binary.
func (m *bindMessage) format(i int) uint16 {
	switch len(m.formats) {
	case 0:
		return 0
	case 2:
		return binary.BigEndian.Uint16(m.formats)
	}
	if 2*i+2 > len(m.formats) {
		return 0
	}
	return binary.BigEndian.Uint16(m.formats[2*i:])
}

// namedMessage is Describe, Close or Execute: a kind ('S' statement, 'P' portal)
// and a name.
type namedMessage struct {
	kind byte
	name string
}

func decodeNamed(frame []byte) (m namedMessage, err error) {
	c := body(frame)
	m.kind, m.name = c.byte(), c.string()
	if err := c.end(); err != nil {
		return m, err
	}
	if m.kind != 'S' && m.kind != 'P' {
		what := "DESCRIBE"
		if frame[0] == msgClose {
			what = "CLOSE"
		}
		return m, malformed(fmt.Sprintf("invalid %s message subtype %d", what, m.kind))
	}
	return m, nil
}

func decodeExecute(frame []byte) (m namedMessage, err error) {
	c := body(frame)
	m.kind, m.name = 'P', c.string()
	c.uint32() // the most rows to return
	return m, c.end()
}

func decodeQuery(frame []byte) (string, error) {
	c := body(frame)
	text := c.string()
	return text, c.end()
}

// appendMessage appends a message of the given type.
func appendMessage(dst []byte, kind byte, fields ...[]byte) []byte {
	n := 4
	for _, f := range fields {
		n += len(f)
	}
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	for _, f := range fields {
		dst = append(dst, f...)
	}
	return dst
}

func cstring(s string) []byte { return append([]byte(s), 0) }
