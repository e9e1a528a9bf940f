package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// A client may send COPY data before the server has asked for it, more than any
// buffer on the way takes. The server's answer may come only then.
func TestCopyDataBeforeTheServerAsks(t *testing.T) {
	const messages, size, statement = 64, 64 << 10, "copy notes FROM STDIN"
	w := fakeWorld(t)
	defer w.tellLog()
	server := newFakeServer()
	server.after = func(b *pgproto3.Backend) error {
		if err := answerUntil(b, statement, 0); err != nil {
			return err
		}
		for range messages {
			if m, err := b.Receive(); err != nil {
				return err
			} else if _, ok := m.(*pgproto3.CopyData); !ok {
				t.Errorf("got %T in place of the data", m)
			}
		}
		b.Send(&pgproto3.CopyInResponse{})
		if m, err := b.Receive(); err != nil {
			return err
		} else if _, ok := m.(*pgproto3.CopyDone); !ok {
			t.Errorf("got %T in place of CopyDone", m)
		}
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("COPY 64")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := b.Flush(); err != nil {
			return err
		}
		return answerAll(b)
	}
	c := dialRaw(t, w.serve(server.serve(t)))
	script := []pgproto3.FrontendMessage{&pgproto3.Query{String: statement}}
	for range messages {
		script = append(script, &pgproto3.CopyData{Data: make([]byte, size)})
	}
	c.send(append(script, &pgproto3.CopyDone{}, &pgproto3.Query{String: "SELECT 1"})...)
	sees(t, c.until(2), "copy in", "done COPY 64", "ready I", "columns text", "row SELECT 1", "done SELECT 1", "ready I")
}

// However the end of COPY data is written, the server hears what it reads of it, and the
// session goes on.
func TestEndsOfCopyData(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust})
	for name, test := range map[string]struct{ end, heard, want string }{
		"as it should be":          {end: "no\x00", heard: "no\x00", want: "ERROR 57014"},
		"a reason without an end":  {end: "no", heard: "invalid string in message\x00", want: "ERROR 57014"},
		"nothing":                  {end: "", heard: "invalid string in message\x00", want: "ERROR 57014"},
		"more than a reason":       {end: "no\x00more", heard: "no\x00", want: "ERROR 57014"},
		"more than CopyDone holds": {end: "c more", want: "done COPY 1"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, fields := byte(msgCopyFail), test.end
			if test.want == "done COPY 1" {
				kind = msgCopyDone
			}
			upstream, toServer := tap(t, server.Addr())
			c := dialRaw(t, w.serve(upstream))
			c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, &pgproto3.CopyData{Data: []byte("x\n")},
				rawFrame(appendMessage(nil, kind, []byte(fields))), &pgproto3.Query{String: "SELECT 1"})
			sees(t, c.until(2), "copy in", test.want, "ready I", "columns ?column?", "row 1", "done SELECT 1", "ready I")
			_ = c.conn.Close()
			waitFor(t, func() bool { return w.handler.live.Count() == 0 })
			for _, l := range toServer().lines {
				if l.to == '>' && l.kind == string(kind) && string(l.body) != test.heard {
					t.Errorf("the server heard %q", l.body)
				}
			}
		})
	}
}
