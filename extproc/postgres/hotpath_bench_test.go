package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// The benchmarks in this file measure the session alone: both ends are canned
// bytes over pipes in memory, the gate allows everything and records nothing. The
// analysis is the real one.

const cannedText = "SELECT a, b, c, d, e, f, g, h FROM wide"

// BenchmarkStatement is a prepared SELECT of one row: Bind, Execute, Sync.
func BenchmarkStatement(b *testing.B) {
	run := newCanned(b, false).open(b, wideRows(1))
	defer run.close()
	run.exchange(wire(&pgproto3.Parse{Name: "s", Query: cannedText}, &pgproto3.Sync{}))
	run.repeat(b, wire(&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{}))
}

// BenchmarkQuery is the same text again and again in the simple protocol.
func BenchmarkQuery(b *testing.B) {
	run := newCanned(b, false).open(b, wideRows(1))
	defer run.close()
	run.repeat(b, wire(&pgproto3.Query{String: cannedText}))
}

// BenchmarkWide is 1,000 rows of 8 text columns that no mask touches;
// BenchmarkWideMasked masks two of them.
func BenchmarkWide(b *testing.B)       { benchmarkRows(b, false) }
func BenchmarkWideMasked(b *testing.B) { benchmarkRows(b, true) }

func benchmarkRows(b *testing.B, masked bool) {
	rows := wideRows(1000)
	run := newCanned(b, masked).open(b, rows)
	defer run.close()
	b.SetBytes(int64(len(rows)))
	run.repeat(b, wire(&pgproto3.Query{String: cannedText}))
}

// BenchmarkLargeText is an INSERT of a literal of 1 MiB, each one a new text.
func BenchmarkLargeText(b *testing.B) {
	run := newCanned(b, false).open(b, wire(&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")}))
	defer run.close()
	message := wire(&pgproto3.Query{String: "INSERT INTO wide (a) VALUES ('" + string(bytes.Repeat([]byte("x"), 1<<20-64)) + "')"})
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		strconv.AppendInt(message[:60], int64(1e9+n), 10)
		run.exchange(message)
	}
}

// BenchmarkSignIn is connect, sign in, and leave.
func BenchmarkSignIn(b *testing.B) {
	w := newCanned(b, false)
	b.ReportAllocs()
	for b.Loop() {
		w.open(b, nil).close()
	}
}

func wire(messages ...interface {
	Encode(dst []byte) ([]byte, error)
}) (out []byte) {
	for _, m := range messages {
		out, _ = m.Encode(out)
	}
	return out
}

// wideRows is the answer to a SELECT of 8 texts of 50 bytes.
func wideRows(n int) []byte {
	var d pgproto3.RowDescription
	values := make([][]byte, 8)
	for i := range values {
		values[i] = bytes.Repeat([]byte{'a' + byte(i)}, 50)
		d.Fields = append(d.Fields, pgproto3.FieldDescription{
			Name: []byte{'a' + byte(i)}, TableOID: wideOID, TableAttributeNumber: uint16(i + 1), DataTypeOID: pgtype.TextOID, DataTypeSize: -1, TypeModifier: -1,
		})
	}
	rows := bytes.Repeat(wire(&pgproto3.DataRow{Values: values}), n)
	return append(append(wire(&d), rows...), wire(&pgproto3.CommandComplete{CommandTag: []byte("SELECT " + strconv.Itoa(n))})...)
}

const wideOID = 4711

// oneTable is a catalog of one table of 8 texts.
type oneTable struct{ wide sqlmeta.Relation }

func newOneTable() *oneTable {
	c := &oneTable{sqlmeta.Relation{OID: wideOID, Schema: "public", Name: "wide", Kind: "r"}}
	for i := range 8 {
		c.wide.Columns = append(c.wide.Columns, sqlmeta.RelationColumn{Name: string(rune('a' + i)), Num: int16(i + 1), TypeOID: pgtype.TextOID, TypeMod: -1})
	}
	return c
}

func (*oneTable) Revision() string { return "bench" }

func (c *oneTable) Relation(_ []string, _, name string) (*sqlmeta.Relation, bool) {
	return &c.wide, name == c.wide.Name
}

func (c *oneTable) RelationByOID(oid uint32) (*sqlmeta.Relation, bool) {
	return &c.wide, oid == wideOID
}

// canned is a world whose sessions need neither network nor server.
type canned struct{ *world }

func newCanned(b *testing.B, masked bool) *canned {
	w := newWorld(b)
	w.recorder = silent{}
	analyzer, err := sharedAnalyzer()
	if err != nil {
		b.Fatal(err)
	}
	w.deps.Analyzer = analyzer
	w.deps.Catalog = func(string) (Catalog, error) { return fixedCatalog{newOneTable()}, nil }
	w.classify(classes{"public.wide.c": {"pii"}, "public.wide.f": {"pii"}})
	if masked {
		w.rules = func(*gate.Input) gate.Decision {
			return gate.Decision{Effect: gate.Allow, Mask: []gate.Mask{{Class: "pii", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}}}
		}
	}
	w.start()
	return &canned{w}
}

// cannedSession is a session whose client's end the benchmark holds.
type cannedSession struct {
	b      *testing.B
	client net.Conn
	ended  sync.WaitGroup
	buf    []byte
}

// open signs in. The server answers every statement with the same bytes.
func (w *canned) open(b *testing.B, answer []byte) *cannedSession {
	client, fromClient := memoryPipe()
	server, toServer := memoryPipe()
	s := &cannedSession{b: b, client: client, buf: make([]byte, 128<<10)}
	s.ended.Go(func() {
		w.handler.ServeTunnel(context.Background(), &extproc.Tunnel{
			Target: w.cfg.Target.Name, Peer: extproc.Peer{Address: "127.0.0.1:1"}, Client: fromClient, Server: toServer,
			SignedIn: func() {},
		})
		_, _ = fromClient.Close(), toServer.Close()
	})
	s.ended.Go(func() { serveCanned(server, answer) })
	// The password goes with the rest: it is asked for in between, not waited for.
	s.exchange(wire(
		&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "anyone", "database": "shop"}},
		&pgproto3.PasswordMessage{Password: "good"},
	))
	return s
}

func (s *cannedSession) close() {
	_, _ = s.client.Write(wire(&pgproto3.Terminate{}))
	_ = s.client.Close()
	s.ended.Wait()
}

// exchange sends messages and reads up to the end of a ReadyForQuery.
func (s *cannedSession) exchange(messages []byte) {
	if _, err := s.client.Write(messages); err != nil {
		s.b.Fatal(err)
	}
	var tail []byte
	for !bytes.HasSuffix(tail, []byte{'Z', 0, 0, 0, 5, 'I'}) {
		n, err := s.client.Read(s.buf)
		if err != nil {
			s.b.Fatalf("%v after %q", err, tail)
		}
		tail = append(tail, s.buf[max(0, n-6):n]...)
		tail = tail[max(0, len(tail)-6):]
	}
}

func (s *cannedSession) repeat(b *testing.B, messages []byte) {
	s.exchange(messages) // what is learned once is not what is measured
	b.ReportAllocs()
	for b.Loop() {
		s.exchange(messages)
	}
}

// serveCanned is a server that signs everybody in and gives one answer. It reads
// no more of a message than its type.
func serveCanned(conn net.Conn, answer []byte) {
	defer func() { _ = conn.Close() }()
	b := pgproto3.NewBackend(conn, conn)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	_, _ = conn.Write([]byte{'N'}) // no TLS
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	ready := wire(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	_, _ = conn.Write(append(wire(
		&pgproto3.AuthenticationOk{},
		&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"},
		&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"},
		&pgproto3.BackendKeyData{ProcessID: 4711, SecretKey: []byte{1, 2, 3, 4}},
	), ready...))
	answers := map[byte][]byte{
		msgParse: wire(&pgproto3.ParseComplete{}), msgBind: wire(&pgproto3.BindComplete{}), msgClose: wire(&pgproto3.CloseComplete{}),
		msgQuery: append(bytes.Clone(answer), ready...), msgSync: ready,
	}
	size := 0
	if len(answer) > 0 && answer[0] == msgRowDescription {
		size = 1 + int(binary.BigEndian.Uint32(answer[1:]))
	}
	describe, rows := answer[:size], answer[size:]
	answers[msgDescribe], answers[msgExecute] = describe, rows
	in, out := newFrameReader(conn), []byte(nil)
	probing := false
	in.onBlock = func() error {
		_, err := conn.Write(out)
		out = out[:0]
		return err
	}
	for {
		kind, size, err := in.next()
		if err != nil || kind == msgTerminate {
			return
		}
		if kind == msgParse || kind == msgBind {
			frame, err := in.take(size)
			if err != nil {
				return
			}
			probing = bytes.Contains(frame, []byte(probeName))
		} else if err := in.discard(size); err != nil {
			return
		}
		if probing && kind == msgExecute { // SHOW search_path, SHOW role
			out = append(out, wire(&pgproto3.DataRow{Values: [][]byte{[]byte("public")}}, &pgproto3.CommandComplete{CommandTag: []byte("SHOW")})...)
			continue
		}
		out = append(out, answers[kind]...)
	}
}

// memoryPipe is a connection in memory that holds as much as a socket does.
func memoryPipe() (a, b net.Conn) {
	to, from := newMemoryBuffer(), newMemoryBuffer()
	return &memoryConn{in: from, out: to}, &memoryConn{in: to, out: from}
}

const memoryBufferSize = 256 << 10

type memoryBuffer struct {
	mu     sync.Mutex
	change sync.Cond
	ring   []byte
	r, n   int
	closed bool
}

func newMemoryBuffer() *memoryBuffer {
	m := &memoryBuffer{ring: make([]byte, memoryBufferSize)}
	m.change.L = &m.mu
	return m
}

func (m *memoryBuffer) read(p []byte) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.n == 0 && !m.closed {
		m.change.Wait()
	}
	if m.n == 0 {
		return 0, io.EOF
	}
	for n < len(p) && m.n > 0 {
		c := copy(p[n:], m.ring[m.r:min(len(m.ring), m.r+m.n)])
		n, m.r, m.n = n+c, (m.r+c)%len(m.ring), m.n-c
	}
	m.change.Broadcast()
	return n, nil
}

func (m *memoryBuffer) write(p []byte) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n < len(p) {
		for m.n == len(m.ring) && !m.closed {
			m.change.Wait()
		}
		if m.closed {
			return n, io.ErrClosedPipe
		}
		at := (m.r + m.n) % len(m.ring)
		c := copy(m.ring[at:min(len(m.ring), at+len(m.ring)-m.n)], p[n:])
		n, m.n = n+c, m.n+c
		m.change.Broadcast()
	}
	return n, nil
}

func (m *memoryBuffer) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.change.Broadcast()
}

type memoryConn struct{ in, out *memoryBuffer }

func (c *memoryConn) Read(p []byte) (int, error)       { return c.in.read(p) }
func (c *memoryConn) Write(p []byte) (int, error)      { return c.out.write(p) }
func (c *memoryConn) Close() error                     { c.in.close(); c.out.close(); return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
