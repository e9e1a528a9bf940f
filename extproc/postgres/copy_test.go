package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
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
