package postgres

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// rawClient speaks to the gateway message by message.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	f    *pgproto3.Frontend
	pid  uint32
	key  []byte
}

// dialRaw signs a client in, in clear.
func dialRaw(t *testing.T, address string) *rawClient {
	t.Helper()
	return dialVersion(t, address, pgproto3.ProtocolVersion30)
}

func dialVersion(t *testing.T, address string, version uint32) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{t: t, conn: conn, f: pgproto3.NewFrontend(conn, conn)}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c.signIn(&pgproto3.StartupMessage{ProtocolVersion: version, Parameters: map[string]string{"user": "anyone", "database": "shop"}}, "good")
	return c
}

// signIn goes on until the first ReadyForQuery.
func (c *rawClient) signIn(start *pgproto3.StartupMessage, password string) {
	c.t.Helper()
	c.send(start)
	for {
		switch m := c.receive().(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			c.send(&pgproto3.PasswordMessage{Password: password})
		case *pgproto3.BackendKeyData:
			c.pid, c.key = m.ProcessID, append([]byte(nil), m.SecretKey...)
		case *pgproto3.ErrorResponse:
			c.t.Fatalf("sign-in: %s %s", m.Code, m.Message)
		case *pgproto3.ReadyForQuery:
			return
		}
	}
}

// send sends messages in one write.
func (c *rawClient) send(messages ...pgproto3.FrontendMessage) {
	c.t.Helper()
	for _, m := range messages {
		c.f.Send(m)
	}
	if err := c.f.Flush(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) receive() pgproto3.BackendMessage {
	c.t.Helper()
	m, err := c.f.Receive()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// until describes what comes, up to and with the n-th ReadyForQuery.
func (c *rawClient) until(n int) []string {
	c.t.Helper()
	var got []string
	for n > 0 {
		m, err := c.f.Receive()
		if err != nil {
			c.t.Fatalf("%v, behind %q", err, got)
		}
		if s := describeMessage(m); s != "" {
			got = append(got, s)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			n--
		}
	}
	return got
}

// ask sends a simple query and describes the answer.
func (c *rawClient) ask(sql string) []string {
	c.t.Helper()
	c.send(&pgproto3.Query{String: sql})
	return c.until(1)
}

func describeMessage(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ParameterStatus:
		return ""
	case *pgproto3.ParseComplete:
		return "parsed"
	case *pgproto3.BindComplete:
		return "bound"
	case *pgproto3.CloseComplete:
		return "closed"
	case *pgproto3.FunctionCallResponse:
		return "result " + string(m.Result)
	case *pgproto3.NoData:
		return "no data"
	case *pgproto3.ParameterDescription:
		return fmt.Sprintf("parameters %v", m.ParameterOIDs)
	case *pgproto3.RowDescription:
		names := make([]string, len(m.Fields))
		for i, f := range m.Fields {
			names[i] = string(f.Name)
		}
		return "columns " + strings.Join(names, ",")
	case *pgproto3.DataRow:
		cells := make([]string, len(m.Values))
		for i, v := range m.Values {
			if cells[i] = string(v); v == nil {
				cells[i] = "NULL"
			}
		}
		return "row " + strings.Join(cells, "|")
	case *pgproto3.CommandComplete:
		return "done " + string(m.CommandTag)
	case *pgproto3.EmptyQueryResponse:
		return "empty"
	case *pgproto3.PortalSuspended:
		return "suspended"
	case *pgproto3.ErrorResponse:
		if text := m.Message + m.Detail + m.Hint + m.Where; leaks([]byte(text)) {
			return "LEAK " + text
		}
		return m.Severity + " " + m.Code
	case *pgproto3.NoticeResponse:
		return "notice " + m.Message
	case *pgproto3.CopyInResponse:
		return "copy in"
	case *pgproto3.CopyOutResponse:
		return "copy out"
	case *pgproto3.CopyData:
		return "data " + strings.TrimSuffix(string(m.Data), "\n")
	case *pgproto3.CopyDone:
		return "copy done"
	case *pgproto3.ReadyForQuery:
		return "ready " + string(m.TxStatus)
	}
	return fmt.Sprintf("%T", m)
}

// run1 is the messages that run one statement with the unnamed names.
func run1(sql string, params ...string) []pgproto3.FrontendMessage {
	return runNamed("", "", sql, params...)
}

func runNamed(statement, portal, sql string, params ...string) []pgproto3.FrontendMessage {
	return append([]pgproto3.FrontendMessage{&pgproto3.Parse{Name: statement, Query: sql}}, bindRun(statement, portal, params...)...)
}

func bindRun(statement, portal string, params ...string) []pgproto3.FrontendMessage {
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = []byte(p)
	}
	return []pgproto3.FrontendMessage{
		&pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement, Parameters: values},
		&pgproto3.Execute{Portal: portal},
	}
}

// script joins groups of messages.
func script(groups ...[]pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
	var all []pgproto3.FrontendMessage
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

var synced = []pgproto3.FrontendMessage{&pgproto3.Sync{}}

func timeText(v any) string {
	if t, ok := v.(time.Time); ok {
		return t.Format("2006-01-02 15:04")
	}
	return fmt.Sprint(v)
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}
