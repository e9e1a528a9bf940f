package postgres

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
)

// strictServer keeps to the protocol as PostgreSQL does, and notes whoever does
// not. It knows nothing of SQL: a text that begins with FAIL fails, one that begins
// with COPY reads data, and all others return a row.
type strictServer struct {
	mu    sync.Mutex
	texts []string // of the statements that came
	wrong []string
	ended chan struct{} // takes one for each session that it is done with

	b          *pgproto3.Backend
	skipping   bool
	copying    bool
	extended   bool // the COPY came by Execute
	statements map[string]string
	portals    map[string]string
}

func (s *strictServer) serve(b *pgproto3.Backend) error {
	defer func() { s.ended <- struct{}{} }()
	s.b, s.skipping, s.copying = b, false, false
	s.statements, s.portals = map[string]string{}, map[string]string{}
	for {
		m, err := b.Receive()
		if err != nil {
			if _, network := errors.AsType[net.Error](err); !network && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				s.note("it cannot be read: " + err.Error())
			}
			return io.EOF // which is no mistake of the server's
		}
		if _, last := m.(*pgproto3.Terminate); last {
			return nil
		}
		s.handle(m)
		if b.Flush() != nil {
			return io.EOF // the gateway has left
		}
	}
}

func (s *strictServer) note(wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, wrong)
}

// taken returns what has come since it was last asked.
func (s *strictServer) taken() (texts, wrong []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts, wrong = s.texts, s.wrong
	s.texts, s.wrong = nil, nil
	return texts, wrong
}

func (s *strictServer) handle(m pgproto3.FrontendMessage) {
	switch m.(type) {
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		if s.copying {
			s.copyData(m)
		}
		return
	case *pgproto3.Flush:
		return
	case *pgproto3.Sync:
		if !s.copying {
			s.skipping = false
			s.ready()
		}
		return
	}
	if s.copying {
		s.note("a message that is not COPY data, within it")
		return
	}
	if s.skipping {
		return
	}
	switch m := m.(type) {
	case *pgproto3.Query:
		if s.run(m.String, false) {
			s.ready()
		}
	case *pgproto3.FunctionCall:
		s.fail("42883", false)
		s.ready()
	default:
		s.step(m)
	}
}

// step is a message of the extended protocol.
func (s *strictServer) step(m pgproto3.FrontendMessage) {
	row := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("text"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}}
	switch m := m.(type) {
	case *pgproto3.Parse:
		s.seen(m.Query)
		if m.Query == poison || strings.HasPrefix(m.Query, "FAIL") {
			delete(s.statements, "")
			s.fail("42601", true)
			return
		}
		s.statements[m.Name] = m.Query
		s.b.Send(&pgproto3.ParseComplete{})
	case *pgproto3.Bind:
		text, ok := s.statements[m.PreparedStatement]
		if !ok {
			s.fail("26000", true)
			return
		}
		s.portals[m.DestinationPortal] = text
		s.b.Send(&pgproto3.BindComplete{})
	case *pgproto3.Describe:
		names := s.portals
		if m.ObjectType == 'S' {
			names = s.statements
		}
		if _, ok := names[m.Name]; !ok {
			s.fail("34000", true)
			return
		}
		if m.ObjectType == 'S' {
			s.b.Send(&pgproto3.ParameterDescription{})
		}
		s.b.Send(row)
	case *pgproto3.Execute:
		text, ok := s.portals[m.Portal]
		if !ok {
			s.fail("34000", true)
			return
		}
		s.run(text, true)
	case *pgproto3.Close:
		names := s.portals
		if m.ObjectType == 'S' {
			names = s.statements
		}
		delete(names, m.Name)
		s.b.Send(&pgproto3.CloseComplete{})
	}
}

// run runs a text, and says whether that is done.
func (s *strictServer) run(text string, extended bool) bool {
	if !extended {
		s.seen(text)
		delete(s.statements, "")
	}
	switch {
	case text == poison, strings.HasPrefix(text, "FAIL"):
		s.fail("42601", extended)
	case strings.TrimSpace(text) == "":
		s.b.Send(&pgproto3.EmptyQueryResponse{})
	case strings.HasPrefix(text, "COPY"):
		s.copying, s.extended = true, extended
		s.b.Send(&pgproto3.CopyInResponse{})
		return false
	default:
		if !extended {
			s.b.Send(&pgproto3.RowDescription{})
		}
		value := text
		if strings.HasPrefix(text, "SHOW") {
			value = "public"
		}
		s.b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(value)}})
		s.b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	}
	return true
}

func (s *strictServer) copyData(m pgproto3.FrontendMessage) {
	switch m.(type) {
	case *pgproto3.CopyDone:
		s.b.Send(&pgproto3.CommandComplete{CommandTag: []byte("COPY 1")})
	case *pgproto3.CopyFail:
		s.fail("57014", s.extended)
	default:
		return
	}
	s.copying = false
	if !s.extended {
		s.ready()
	}
}

func (s *strictServer) seen(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
}

func (s *strictServer) fail(code string, extended bool) {
	s.b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "it fails"})
	s.skipping = extended
}

func (s *strictServer) ready() {
	if !s.skipping {
		clear(s.portals)
		s.b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}

// own are the texts that the gateway sends of its own accord.
var own = []string{"SHOW search_path", "SHOW role", poison, ""}

// fuzzSignIn dials and signs in; what is wrong ends the test that runs.
func fuzzSignIn(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c := dialRaw(t, address)
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	return c.conn.(*net.TCPConn)
}

// Whatever a client says, the server hears nothing but the protocol and no
// statement that was not judged, and the session ends when the client does.
func FuzzSession(f *testing.F) {
	w := fakeWorld(f)
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation != nil && strings.HasPrefix(in.Operation.Text, "DELETE") {
			return gate.Denied("no_delete", "no", "")
		}
		return gate.Decision{Effect: gate.Allow}
	}
	strict := &strictServer{ended: make(chan struct{}, 1)}
	server := newFakeServer()
	server.after = strict.serve
	address := w.serve(server.serve(f))
	data := &pgproto3.CopyData{Data: []byte("x\n")}
	for _, seed := range [][]pgproto3.FrontendMessage{
		{&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Query{String: "DELETE x"}, &pgproto3.Query{String: ""}},
		script(run1("SELECT 1"), synced, run1("DELETE x"), synced, bindRun("", ""), synced),
		script(runNamed("s", "p", "SELECT 1"), bindRun("s", "q"), synced, []pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: "s"}}, bindRun("s", ""), synced),
		script(run1("FAIL"), run1("SELECT 2"), synced, run1("SELECT 3"), []pgproto3.FrontendMessage{&pgproto3.Flush{}}, run1("DELETE x"), synced),
		{&pgproto3.Query{String: "COPY t FROM STDIN"}, data, &pgproto3.CopyDone{}, &pgproto3.Query{String: "SELECT 1"}},
		script(run1("COPY t FROM STDIN"), synced, []pgproto3.FrontendMessage{data, &pgproto3.CopyFail{Message: "no"}, &pgproto3.Sync{}}),
		{&pgproto3.Query{String: "PREPARE a AS SELECT 1"}, &pgproto3.Query{String: "EXECUTE a"}, &pgproto3.FunctionCall{Function: 1}, &pgproto3.Terminate{}},
		{&pgproto3.Parse{Name: "s", Query: "SELECT 1"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Describe{ObjectType: 'P', Name: "nosuch"}, &pgproto3.Sync{}},
		{&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Query{String: "FAIL"}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Sync{}},
	} {
		f.Add(encodeAll(seed))
	}
	for _, m := range unreadables {
		f.Add(encodeAll(script(runNamed("s1", "p1", "SELECT 1"), []pgproto3.FrontendMessage{m}, run1("SELECT 2"), synced, []pgproto3.FrontendMessage{m, m}, synced)))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		w.ledger.forget()
		conn := fuzzSignIn(t, address)
		go func() {
			_, _ = conn.Write(said)
			_ = conn.CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
			t.Fatal("the session does not end")
		}
		waitFor(t, func() bool { return w.handler.live.Count() == 0 })
		<-strict.ended // the session may be over before the server has read all
		texts, wrong := strict.taken()
		if len(wrong) > 0 {
			t.Errorf("the server was sent %q", wrong)
		}
		judged := w.ledger.texts()
		for _, text := range texts {
			if strings.Trim(text, " \t\r\n;") == "" {
				continue // prepared as it is, with nothing in it to judge
			}
			if !slices.Contains(own, text) && (!slices.Contains(judged, text) || strings.HasPrefix(text, "DELETE")) {
				t.Errorf("%q reached the server, judged were %q", text, judged)
			}
		}
	})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Whatever a server says, the session ends when the server does, and what the
// client is given is messages.
func FuzzServer(f *testing.F) {
	w := fakeWorld(f)
	var mu sync.Mutex
	var says []byte
	server := newFakeServer()
	var conns sync.Map // the connection of each session, to write bytes to
	server.sign = func(b *pgproto3.Backend, conn net.Conn) error { conns.Store(b, conn); return nil }
	server.after = withProbe(func(b *pgproto3.Backend) error {
		conn, _ := conns.LoadAndDelete(b)
		if _, err := b.Receive(); err != nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		_, _ = conn.(net.Conn).Write(says)
		return nil
	})
	address := w.serve(server.serve(f))
	row := &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}
	done := &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	columns := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 23}}}
	failure := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "no"}
	for _, seed := range [][]pgproto3.BackendMessage{
		{columns, row, done, ready, &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, columns, row, done, ready},
		{failure, ready, failure, ready}, {&pgproto3.NoticeResponse{Message: "x"}, &pgproto3.ParameterStatus{Name: "search_path", Value: "x"}, &pgproto3.NotificationResponse{Channel: "c"}, done, ready},
		{&pgproto3.CopyInResponse{}, failure, ready}, {&pgproto3.CopyOutResponse{}, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, done, ready},
		{&pgproto3.FunctionCallResponse{Result: []byte("x")}, ready}, {&pgproto3.EmptyQueryResponse{}, ready, &pgproto3.PortalSuspended{}, &pgproto3.NoData{}, &pgproto3.CloseComplete{}, &pgproto3.ParameterDescription{}},
	} {
		var raw []byte
		for _, m := range seed {
			raw, _ = m.Encode(raw)
		}
		f.Add(raw)
	}
	asks := encodeAll(script([]pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT 1"}}, run1("SELECT 2"), []pgproto3.FrontendMessage{&pgproto3.Describe{ObjectType: 'P'}}, synced))
	f.Fuzz(func(t *testing.T, raw []byte) {
		mu.Lock()
		says = raw
		mu.Unlock()
		conn := fuzzSignIn(t, address)
		if _, err := conn.Write(asks); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
			t.Fatal("the session does not end")
		}
		waitFor(t, func() bool { return w.handler.live.Count() == 0 })
	})
}
