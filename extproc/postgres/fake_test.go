package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// words is an analyzer that knows a statement by its first word: enough where
// the protocol is what is tested.
type words struct{}

func (words) Analyze(_ context.Context, text string, _ sqlmeta.Catalog, _ []string) (*sqlmeta.Analysis, error) {
	an := &sqlmeta.Analysis{}
	for _, one := range strings.Split(text, ";") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		word, rest, _ := strings.Cut(one, " ")
		st := sqlmeta.Statement{Text: one, Action: strings.ToLower(word), Risks: []string{}}
		switch st.Action {
		case "begin", "commit", "rollback":
			st.Action = sqlmeta.ActionTransaction
		case "prepare":
			name, inner, _ := strings.Cut(rest, " AS ")
			st.Prepare = &sqlmeta.Prepare{Kind: sqlmeta.PreparePrepare, Name: name, Inner: &sqlmeta.Statement{Text: inner, Action: "select"}}
		case "execute":
			st.Prepare, st.Opaque = &sqlmeta.Prepare{Kind: sqlmeta.PrepareExecute, Name: rest}, true
		}
		an.Statements = append(an.Statements, st)
	}
	return an, nil
}

// nothing is an empty catalog.
type nothing struct{}

func (nothing) Relation([]string, string, string) (*sqlmeta.Relation, bool) { return nil, false }
func (nothing) RelationByOID(uint32) (*sqlmeta.Relation, bool)              { return nil, false }

// fakeWorld is a world whose server does what a test says.
func fakeWorld(t testing.TB) *world {
	w := newWorld(t)
	w.deps.Analyzer = words{}
	w.deps.Catalog = func(string) (Catalog, error) { return fixedCatalog{nothing{}}, nil }
	w.deps.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	return w
}

// fakeServer is a server that a test scripts.
type fakeServer struct {
	tls     *tls.Config // nil: it offers none
	sign    func(b *pgproto3.Backend, conn net.Conn) error
	after   func(b *pgproto3.Backend) error // nil: answers as answerAll does
	started chan *pgproto3.StartupMessage
	cancels chan *pgproto3.CancelRequest
}

func newFakeServer() *fakeServer {
	return &fakeServer{started: make(chan *pgproto3.StartupMessage, 16), cancels: make(chan *pgproto3.CancelRequest, 16)}
}

// serve accepts connections until the test ends, and returns the address.
func (s *fakeServer) serve(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer conn.Close()
				if err := s.talk(conn); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset by peer") && !strings.Contains(err.Error(), "broken pipe") {
					t.Errorf("fake server: %v", err)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func (s *fakeServer) talk(conn net.Conn) error {
	b := pgproto3.NewBackend(conn, conn)
	for {
		m, err := b.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.SSLRequest:
			if s.tls == nil {
				if _, err := conn.Write([]byte{'N'}); err != nil {
					return err
				}
				continue
			}
			if _, err := conn.Write([]byte{'S'}); err != nil {
				return err
			}
			conn = tls.Server(conn, s.tls)
			b = pgproto3.NewBackend(conn, conn)
		case *pgproto3.CancelRequest:
			s.cancels <- m
			return nil
		case *pgproto3.StartupMessage:
			select {
			case s.started <- m:
			default: // nobody has looked for a while
			}
			return s.session(b, conn)
		}
	}
}

func (s *fakeServer) session(b *pgproto3.Backend, conn net.Conn) error {
	if s.sign != nil {
		if err := s.sign(b, conn); err != nil {
			return err
		}
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 4711, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := b.Flush(); err != nil {
		return err
	}
	if s.after != nil {
		return s.after(b)
	}
	return answerAll(b)
}

// answerAll answers every statement with one row that holds its text.
func answerAll(b *pgproto3.Backend) error { return answerUntil(b, "", 0) }

// answerFirst answers what the gateway asks when a session begins.
func answerFirst(b *pgproto3.Backend) error { return answerUntil(b, "", 1) }

// answerUntil is answerAll up to a simple query, which it leaves unanswered, or
// to the last of so many Syncs.
func answerUntil(b *pgproto3.Backend, query string, syncs int) error {
	texts := map[string]string{}
	portals := map[string]string{}
	row := func(text string) {
		if strings.HasPrefix(text, "SHOW search_path") {
			text = "public"
		}
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(text)}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	}
	columns := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("text"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}}
	for {
		m, err := b.Receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.Query:
			if m.String == query {
				return nil
			}
			b.Send(columns)
			row(m.String)
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		case *pgproto3.Parse:
			texts[m.Name] = m.Query
			b.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Bind:
			portals[m.DestinationPortal] = texts[m.PreparedStatement]
			b.Send(&pgproto3.BindComplete{})
		case *pgproto3.Describe:
			if m.ObjectType == 'S' {
				b.Send(&pgproto3.ParameterDescription{})
			}
			b.Send(columns)
		case *pgproto3.Execute:
			row(portals[m.Portal])
		case *pgproto3.Close:
			b.Send(&pgproto3.CloseComplete{})
		case *pgproto3.Sync:
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if syncs--; syncs == 0 {
				return b.Flush()
			}
		case *pgproto3.Terminate:
			return nil
		}
		if err := b.Flush(); err != nil {
			return err
		}
	}
}
