package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// standbyStatus is a client's word on how far it is, as all of them send it by
// themselves (PostgreSQL, "Streaming Replication Protocol").
func standbyStatus() *pgproto3.CopyData {
	b := make([]byte, 1+8+8+8+8+1)
	b[0] = 'r'
	binary.BigEndian.PutUint64(b[1:], 1) // written
	binary.BigEndian.PutUint64(b[9:], 1) // and on disk
	return &pgproto3.CopyData{Data: b}
}

// stream asks for the changes of the shop.
func (c *rawClient) stream() {
	c.t.Helper()
	slot := fmt.Sprintf("of_%d", c.pid)
	c.play(&pgproto3.Query{String: "CREATE_REPLICATION_SLOT " + slot + " TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')"})
	c.send(&pgproto3.Query{String: "START_REPLICATION SLOT " + slot + " LOGICAL 0/0 (proto_version '1', publication_names 'everything')"})
}

func (c *rawClient) begins() {
	c.t.Helper()
	if m := c.receive(); describeMessage(m) != "*pgproto3.CopyBothResponse" {
		c.t.Fatalf("got %#v", m)
	}
}

// next is the next message that is no CopyData and no notice.
func (c *rawClient) next() string {
	c.t.Helper()
	for {
		switch m := c.receive().(type) {
		case *pgproto3.CopyData, *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		default:
			return describeMessage(m)
		}
	}
}

// finds reads the stream until a piece of it holds a word.
func (c *rawClient) finds(word string) {
	c.t.Helper()
	for {
		got := c.receive()
		m, ok := got.(*pgproto3.CopyData)
		if !ok {
			c.t.Fatalf("no %q before %#v", word, got)
		}
		if bytes.Contains(m.Data, []byte(word)) {
			return
		}
	}
}

// ends are the messages up to ReadyForQuery.
func (c *rawClient) ends() (got []string) {
	c.t.Helper()
	for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "ready") {
		got = append(got, c.next())
	}
	return got
}

// position is the end of the server's log.
func (c *rawClient) position() string {
	c.t.Helper()
	return strings.Split(c.ask("IDENTIFY_SYSTEM")[1], "|")[2]
}

func writeNote(t *testing.T, server *pgserver.Server, body string) {
	t.Helper()
	if err := server.Exec(t.Context(), "shop", "INSERT INTO notes (body) VALUES ('"+body+"')"); err != nil {
		t.Fatal(err)
	}
}

// Changes reach the client as they are made, its words the server, and when it
// ends the stream the session goes on.
func TestStream(t *testing.T) {
	w, server := replicas(t)
	defer w.tellLog()
	c := dialReplication(t, w.serve(server.Addr()), "database")
	c.stream()
	c.begins()
	writeNote(t, server, "streamed at once")
	c.finds("streamed at once")
	c.send(standbyStatus())
	conn, err := server.Connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	waitFor(t, func() bool { // the server heard how far the client is
		var flushed *string
		err := conn.QueryRow(t.Context(), "SELECT flush_lsn::text FROM pg_stat_replication").Scan(&flushed)
		return err == nil && flushed != nil
	})
	c.send(&pgproto3.CopyDone{})
	sees(t, c.ends(), "copy done", "done COPY 0", "done START_REPLICATION", "ready I")
	sees(t, c.play(&pgproto3.Query{String: "READ_REPLICATION_SLOT nosuch"})[1:], "row NULL|NULL|NULL", "done READ_REPLICATION_SLOT", "ready I")
	sees(t, c.ask("SELECT body FROM notes"), "columns body", "row streamed at once", "done SELECT 1", "ready I")

	from := c.position()
	writeNote(t, server, "streamed as pages")
	c.send(&pgproto3.Query{String: "START_REPLICATION " + from})
	c.begins()
	c.finds("streamed as pages")
	c.send(&pgproto3.CopyDone{})
	sees(t, c.ends(), "copy done", "done START_STREAMING", "done START_REPLICATION", "ready I")
	for _, o := range w.ledger.outcomes() {
		if o.Status == "ok" && o.Tag == "START_REPLICATION" && (o.Bytes == 0 || o.Rows != 0 || o.Digest == "") || o.Status != "ok" {
			t.Errorf("recorded %+v", o)
		}
	}
	// The one that SELECT has read is recorded, none that were streamed.
	if r := w.ledger.stream(gate.ResponseStream); bytes.Count(r, []byte("streamed")) != 1 {
		t.Errorf("of the stream was recorded %q", r)
	}
}

// A stream ends in the middle when it must: by the client, by an error of the
// server, by a limit, by the gateway.
func TestStreamEnds(t *testing.T) {
	w, server := replicas(t)
	w.cfg.Idle = time.Hour
	w.cfg.Drain = time.Hour
	address := w.serve(server.Addr())
	start := func(t *testing.T) *rawClient {
		waitFor(t, func() bool { return w.handler.live.Count() == 0 })
		w.ledger.forget()
		c := dialReplication(t, address, "database")
		c.stream()
		c.begins()
		return c
	}
	cancels := func(t *testing.T, c *rawClient) {
		t.Helper()
		conn := dial(t, address)
		f := pgproto3.NewFrontend(conn, conn)
		f.Send(&pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("it is not idle", func(t *testing.T) {
		c := start(t)
		s := w.handler.live.find(c.pid, c.key)
		s.active.Store(time.Now().Add(-2 * w.cfg.Idle).UnixNano())
		s.checkIdle()
		writeNote(t, server, "after a while")
		c.finds("after a while")
	})
	t.Run("Terminate", func(t *testing.T) {
		start(t).send(&pgproto3.Terminate{})
		if got := w.reason(); got != "the client ended it" {
			t.Errorf("recorded %q", got)
		}
	})
	t.Run("the client goes away", func(t *testing.T) {
		start(t).conn.Close()
		if got := w.reason(); got != "the client went away" {
			t.Errorf("recorded %q", got)
		}
	})
	for _, m := range []pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Sync{}, &pgproto3.CopyFail{Message: "no"}} {
		t.Run("another message", func(t *testing.T) {
			c := start(t)
			c.send(m)
			sees(t, []string{c.next()}, "FATAL 08P01")
		})
	}
	t.Run("CancelRequest", func(t *testing.T) {
		c := start(t)
		cancels(t, c)
		sees(t, []string{c.next(), c.next()}, "ERROR 57014", "ready I")
		c.send(standbyStatus(), &pgproto3.CopyDone{}) // were on their way
		sees(t, c.ask("SELECT 1 AS one"), "columns one", "row 1", "done SELECT 1", "ready I")
	})
	t.Run("the server ends it", func(t *testing.T) {
		c := start(t)
		if err := server.Exec(t.Context(), "shop", "SELECT pg_terminate_backend(pid) FROM pg_stat_replication"); err != nil {
			t.Fatal(err)
		}
		sees(t, []string{c.next()}, "FATAL 57P01")
	})
	t.Run("max_bytes", func(t *testing.T) {
		w.rule(func(*gate.Input) gate.Decision {
			return gate.Decision{Effect: gate.Allow, Limits: gate.Limits{MaxBytes: 3000}}
		})
		defer w.rule(allowAll)
		c := start(t)
		writeNote(t, server, string(bytes.Repeat([]byte("long "), 1000)))
		sees(t, []string{c.next(), c.next()}, "ERROR 54000", "ready I")
		c.send(standbyStatus())
		sees(t, c.ask("SELECT 1 AS one"), "columns one", "row 1", "done SELECT 1", "ready I")
	})
	t.Run("timeout", func(t *testing.T) {
		w.rule(func(in *gate.Input) gate.Decision {
			d := allowAll(in)
			if in.Operation != nil && in.Operation.Functions[0] == startStream {
				d.Limits.Timeout = 50 * time.Millisecond
			}
			return d
		})
		defer w.rule(allowAll)
		c := dialReplication(t, address, "database")
		c.stream()
		got := c.ends() // it may have begun, or not
		sees(t, got[len(got)-2:], "ERROR 57014", "ready I")
	})
	t.Run("the gateway stops", func(t *testing.T) {
		c := start(t)
		writeNote(t, server, "the last one")
		c.finds("the last one")
		w.cancel()
		sees(t, []string{c.next()}, "FATAL 57P01")
		if got := w.reason(); got != "the gateway stopped" {
			t.Errorf("recorded %q", got)
		}
	})
}

// A stream does not outlive the token.
func TestStreamEndsWithToken(t *testing.T) {
	w, server := replicas(t)
	w.deps.Identity = issuer{expires: time.Now().Add(time.Second)}
	c := dialReplication(t, w.serve(server.Addr()), "true")
	c.send(&pgproto3.Query{String: "START_REPLICATION " + c.position()})
	got := c.next()
	for got == "*pgproto3.CopyBothResponse" {
		got = c.next()
	}
	sees(t, []string{got}, "FATAL 28000")
	if got := w.reason(); got != "the token expired" {
		t.Errorf("recorded %q", got)
	}
}

// A server that ends its side first, as at the end of a timeline, waits for the
// client to end its own; and one that announces what was not asked for is not
// believed.
func TestStreamOfServer(t *testing.T) {
	script := func(t *testing.T, after func(b *pgproto3.Backend) error) *rawClient {
		w := fakeWorld(t)
		server := newFakeServer()
		server.after = func(b *pgproto3.Backend) error {
			if _, err := b.Receive(); err != nil {
				return err
			}
			return after(b)
		}
		return dialReplication(t, w.serve(server.serve(t)), "true")
	}
	t.Run("the server first", func(t *testing.T) {
		c := script(t, func(b *pgproto3.Backend) error {
			b.Send(&pgproto3.CopyBothResponse{})
			b.Send(&pgproto3.CopyData{Data: []byte("w1")})
			b.Send(&pgproto3.CopyDone{})
			b.Send(&pgproto3.CopyData{Data: []byte("a keepalive that was on its way")})
			if err := b.Flush(); err != nil {
				return err
			}
			for {
				m, err := b.Receive()
				if err != nil {
					return err
				}
				if _, ended := m.(*pgproto3.CopyDone); ended {
					break
				}
			}
			b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("next_tli")}}})
			b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("2")}})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT")})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("START_REPLICATION")})
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			return b.Flush()
		})
		c.send(&pgproto3.Query{String: "START_REPLICATION 0/0 TIMELINE 1"})
		c.begins()
		c.finds("w1")
		c.send(standbyStatus(), &pgproto3.CopyDone{})
		sees(t, c.until(1), "copy done", "data a keepalive that was on its way", "columns next_tli", "row 2", "done SELECT", "done START_REPLICATION", "ready I")
	})
	for text, m := range map[string]pgproto3.BackendMessage{
		"IDENTIFY_SYSTEM": &pgproto3.CopyBothResponse{}, "BASE_BACKUP": &pgproto3.CopyInResponse{}, "START_REPLICATION 0/0": &pgproto3.CopyOutResponse{},
	} {
		t.Run(text, func(t *testing.T) {
			c := script(t, func(b *pgproto3.Backend) error {
				b.Send(m)
				return b.Flush()
			})
			c.send(&pgproto3.Query{String: text})
			sees(t, []string{c.next()}, "FATAL 08P01")
		})
	}
}
