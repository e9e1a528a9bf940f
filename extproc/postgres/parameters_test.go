package postgres

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// parameters is a ParameterDescription as the server writes it: of more parameters
// than its count can hold, it has the count's last 16 bits and all of the types.
type parameters int

func (parameters) Backend()            {}
func (parameters) Decode([]byte) error { return nil }
func (n parameters) Encode(dst []byte) ([]byte, error) {
	dst = append(dst, 't')
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+2+4*n))
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	for range n {
		dst = binary.BigEndian.AppendUint32(dst, 25)
	}
	return dst, nil
}

// A statement with more parameters than Bind can give is the client's problem, and
// the session goes on.
func TestMoreParametersThanTheirCountHolds(t *testing.T) {
	const many = 1<<16 + 7
	w := fakeWorld(t)
	defer w.tellLog()
	server := newFakeServer()
	server.after = func(b *pgproto3.Backend) error {
		for {
			m, err := b.Receive()
			if err != nil {
				return err
			}
			switch m.(type) {
			case *pgproto3.Parse:
				b.Send(&pgproto3.ParseComplete{})
			case *pgproto3.Describe:
				b.Send(parameters(many))
				b.Send(&pgproto3.NoData{})
			case *pgproto3.Terminate:
				return nil
			case *pgproto3.Sync:
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				if err := b.Flush(); err != nil {
					return err
				}
			}
		}
	}
	c := dialRaw(t, w.serve(server.serve(t)))
	c.send(&pgproto3.Parse{Name: "many", Query: "SELECT many"}, &pgproto3.Describe{ObjectType: 'S', Name: "many"}, &pgproto3.Sync{})
	got := c.until(1)
	if n := strings.Count(got[1], "25"); n != many {
		t.Errorf("the client was told of %d parameters", n)
	}
	sees(t, append(got[:1], got[2:]...), "parsed", "no data", "ready I")
}
