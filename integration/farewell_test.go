package integration

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// bare signs in over TLS, without a driver that would read ahead, and returns the
// connection with the process id of the server's session.
func (w *world) bare(t *testing.T) (*tls.Conn, *records, uint32) {
	t.Helper()
	tcp, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.Settings.DatabaseListen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	came := &records{Conn: tcp}
	conn := tls.Client(came, &tls.Config{RootCAs: w.roots(t), ServerName: "localhost", NextProtos: []string{"postgresql"}, MaxVersion: tls.VersionTLS12})
	_ = conn.SetDeadline(time.Now().Add(patience))
	f := pgproto3.NewFrontend(conn, conn)
	say := func(m pgproto3.FrontendMessage) {
		f.Send(m)
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	say(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "agent", "database": "shop"}})
	var pid uint32
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			say(&pgproto3.PasswordMessage{Password: w.agent(t)})
		case *pgproto3.BackendKeyData:
			pid = m.ProcessID
		case *pgproto3.ReadyForQuery:
			return conn, came, pid
		}
	}
}

// records is a connection that keeps what was read, which are the records of TLS.
type records struct {
	net.Conn
	came []byte
}

func (r *records) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.came = append(r.came, p[:n]...)
	return n, err
}

// last is the type of the last record: in TLS 1.2 that of an alert (21) can be seen.
func (r *records) last() (kind byte) {
	for b := r.came; len(b) > 5; b = b[min(len(b), 5+int(binary.BigEndian.Uint16(b[3:]))):] {
		kind = b[0]
	}
	return kind
}

// When a server ends a session, the client reads its last words, and TLS ends as the
// server ends it, by close_notify: a connection that is cut may have been cut by anybody.
func TestServerTakesLeave(t *testing.T) {
	w := shared(t)
	super, err := w.Postgres.Connect(t.Context(), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = super.Close(context.Background()) }()
	for range 20 {
		conn, came, pid := w.bare(t)
		// The gateway asks questions of its own first. A server that ends while something
		// comes resets the connection, and then its last words are lost directly too.
		soon(t, "the session is quiet", func() (quiet bool) {
			err := super.QueryRow(t.Context(), "SELECT state = 'idle' AND query LIKE 'SHOW%' FROM pg_stat_activity WHERE pid = $1", int32(pid)).Scan(&quiet)
			return err == nil && quiet
		})
		if _, err := super.Exec(t.Context(), "SELECT pg_terminate_backend($1)", int32(pid)); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(conn)
		if err != nil || came.last() != 21 {
			t.Errorf("the connection ended by %v, the last record was of type %d", err, came.last())
		}
		expect(t, string(said), "57P01", "terminating connection due to administrator command")
	}
}
