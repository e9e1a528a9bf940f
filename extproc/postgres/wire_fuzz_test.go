package postgres

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/mask"
)

func encoded(f *testing.F, m pgproto3.FrontendMessage) []byte {
	f.Helper()
	b, err := m.Encode(nil)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// What is read of a message, written again, must be the message: then the server
// reads in it what was judged.
func FuzzMessages(f *testing.F) {
	f.Add(encoded(f, &pgproto3.Query{String: "SELECT 1"}))
	f.Add(encoded(f, &pgproto3.Parse{Name: "a", Query: "SELECT $1", ParameterOIDs: []uint32{23}}))
	f.Add(encoded(f, &pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "a", ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{0, 0, 0, 1}, nil}, ResultFormatCodes: []int16{1}}))
	f.Add(encoded(f, &pgproto3.Execute{Portal: "p", MaxRows: 7}))
	f.Add(encoded(f, &pgproto3.Describe{ObjectType: 'S', Name: "a"}))
	f.Add(encoded(f, &pgproto3.Close{ObjectType: 'P', Name: "p"}))
	f.Add(encoded(f, binaryCall(oidLoOpen, int4(1), nil)))
	f.Add([]byte{'B', 0, 0, 0, 4})
	f.Add([]byte{'P', 0, 0, 0, 8, 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < headerLen {
			return
		}
		frame = bytes.Clone(frame)
		binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-1))
		var again []byte
		switch frame[0] {
		case msgQuery:
			text, err := decodeQuery(frame)
			if err != nil {
				return
			}
			again = appendMessage(nil, msgQuery, cstring(text))
		case msgParse:
			m, err := decodeParse(frame)
			if err != nil {
				return
			}
			again, _ = (&pgproto3.Parse{Name: m.name, Query: m.text, ParameterOIDs: m.types}).Encode(nil)
		case msgBind:
			m, err := decodeBind(frame, nil)
			if err != nil {
				return
			}
			var p pgproto3.Bind
			if err := p.Decode(frame[headerLen:]); err != nil {
				t.Fatalf("read by us and not by others: %v", err)
			}
			if p.DestinationPortal != m.portal || p.PreparedStatement != m.statement || len(p.Parameters) != len(m.values) {
				t.Fatalf("read as %+v by us and as %+v by others", m, p)
			}
			for i, v := range m.values {
				if !bytes.Equal(v, p.Parameters[i]) || (v == nil) != (p.Parameters[i] == nil) {
					t.Fatalf("parameter %d is %q for us and %q for others", i, v, p.Parameters[i])
				}
				m.format(i)
			}
			again, _ = p.Encode(nil)
		case msgFunctionCall:
			m, err := decodeFunctionCall(frame)
			if err != nil {
				return
			}
			// Formats that do not exist are the server's to refuse; others do not read them.
			for codes := append(bytes.Clone(m.arguments.formats), frame[len(frame)-2:]...); len(codes) > 0; codes = codes[2:] {
				if binary.BigEndian.Uint16(codes) > 1 {
					return
				}
			}
			var p pgproto3.FunctionCall
			if err := p.Decode(frame[headerLen:]); err != nil || p.Function != m.oid || len(p.Arguments) != len(m.arguments.values) {
				t.Fatalf("read as %+v by us and as %+v by others: %v", m, p, err)
			}
			for i, v := range m.arguments.values {
				if !bytes.Equal(v, p.Arguments[i]) || (v == nil) != (p.Arguments[i] == nil) {
					t.Fatalf("argument %d is %q for us and %q for others", i, v, p.Arguments[i])
				}
				m.arguments.format(i)
			}
			again, _ = p.Encode(nil)
		case msgExecute:
			m, err := decodeExecute(frame)
			if err != nil {
				return
			}
			again = appendMessage(nil, msgExecute, cstring(m.name), frame[len(frame)-4:])
		case msgDescribe, msgClose:
			m, err := decodeNamed(frame)
			if err != nil {
				return
			}
			again = appendMessage(nil, frame[0], []byte{m.kind}, cstring(m.name))
		default:
			return
		}
		if !bytes.Equal(again, frame) {
			t.Fatalf("%q was read as %q", frame, again)
		}
	})
}

func FuzzStartup(f *testing.F) {
	f.Add(startPacket(pgproto3.ProtocolVersion30, "user", "a", "options", `-c a=b --c=d\ e`)[8:])
	f.Add(startPacket(pgproto3.ProtocolVersion30, "_pq_.x", "1", "replication", "true")[8:])
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _, err := parseStartup(b)
		if err != nil || p.complete() != nil {
			return
		}
		cfg := &Config{Upstream: Upstream{User: "weir_orders"}}
		sent := startupMessage(cfg, &greeting{params: p}, "shop")
		var m pgproto3.StartupMessage
		if err := m.Decode(sent[4:]); err != nil {
			t.Fatalf("the server would not understand %q: %v", sent, err)
		}
		if m.Parameters["user"] != "weir_orders" || m.Parameters["database"] != "shop" ||
			m.Parameters["replication"] != map[replication]string{physical: "true", inDatabase: "database"}[p.replication] || m.Parameters["options"] != "" {
			t.Fatalf("%q makes the server see %v", b, m.Parameters)
		}
	})
}

// A masked row is a row of the same shape, in which the other cells are untouched.
func FuzzRewrite(f *testing.F) {
	row := func(values ...[]byte) []byte {
		b, _ := (&pgproto3.DataRow{Values: values}).Encode(nil)
		return b
	}
	f.Add(row([]byte("1"), []byte("secret"), nil), uint8(2))
	f.Add(row(nil, []byte{}), uint8(3))
	f.Add([]byte{'D', 0, 0, 0, 6, 0, 0}, uint8(0))
	f.Add([]byte{'D', 0, 0, 0, 10, 0, 1, 0x7f, 0xff, 0xff, 0xff}, uint8(1))
	cell, err := sharedMasker().Cell(mask.Spec{With: mask.Redact}, 25, false, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte, masked uint8) {
		if len(frame) < rowHeader {
			return
		}
		frame = bytes.Clone(frame)
		frame[0] = msgDataRow
		binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-1))
		n := int(binary.BigEndian.Uint16(frame[headerLen:]))
		if n > 64 {
			return
		}
		p := &plan{cells: make([]mask.Cell, n), counts: make([]int, n), nulls: make([]bool, n)}
		for i := range n {
			if masked>>(i%8)&1 == 1 {
				p.cells[i] = cell
			}
		}
		out, ok := p.rewrite([]byte("before"), frame)
		var was, is pgproto3.DataRow
		if err := was.Decode(frame[headerLen:]); err != nil || !ok {
			return
		}
		out = out[len("before"):]
		if int(binary.BigEndian.Uint32(out[1:])) != len(out)-1 {
			t.Fatalf("the length of %q is wrong", out)
		}
		if err := is.Decode(out[headerLen:]); err != nil {
			t.Fatalf("%q became %q: %v", frame, out, err)
		}
		for i := range was.Values {
			want := was.Values[i]
			if p.cells[i] != nil && want != nil {
				want = []byte(mask.Redacted)
			}
			if !bytes.Equal(is.Values[i], want) || (is.Values[i] == nil) != (want == nil) {
				t.Fatalf("cell %d of %q became %q", i, frame, is.Values[i])
			}
		}
		if o := p.originals(nil, frame); len(o) > 0 && int(binary.BigEndian.Uint32(o[1:])) != len(o)-1 {
			t.Fatalf("the length of the originals %q is wrong", o)
		}
	})
}
