package relay

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pires/go-proxyproto"

	"github.com/weir-gateway/weir/extproc"
)

// header is what Envoy sends for a client.
func header(t testing.TB, change func(*proxyproto.Header), tlvs ...proxyproto.TLV) []byte {
	t.Helper()
	h := &proxyproto.Header{
		Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
		SourceAddr:      &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711},
		DestinationAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 15432},
	}
	if change != nil {
		change(h)
	}
	if len(tlvs) > 0 {
		if err := h.SetTLVs(tlvs); err != nil {
			t.Fatal(err)
		}
	}
	text, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tlv(typ proxyproto.PP2Type, value string) proxyproto.TLV {
	return proxyproto.TLV{Type: typ, Value: []byte(value)}
}

func TestPreface(t *testing.T) {
	orders := tlv(TypeTarget, "orders")
	v6 := func(h *proxyproto.Header) {
		h.TransportProtocol = proxyproto.TCPv6
		h.SourceAddr = &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 4711}
		h.DestinationAddr = &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 15432}
	}
	tests := map[string]struct {
		sent []byte
		want preface // the zero value: refused
	}{
		"a client": {
			sent: header(t, nil, orders, tlv(TypeServerName, "-"), tlv(TypeURISAN, "-"), tlv(TypeTLS, "-")),
			want: preface{target: "orders", peer: extproc.Peer{Address: "192.0.2.7:4711"}},
		},
		"a client over IPv6, whose TLS Envoy ended": {
			sent: header(t, v6, orders, tlv(TypeServerName, "db.example"), tlv(TypeURISAN, "spiffe://x/a"), tlv(TypeTLS, "TLSv1.3"), tlv(0xE9, "?")),
			want: preface{target: "orders", peer: extproc.Peer{Address: "[2001:db8::7]:4711", ServerName: "db.example", URISAN: "spiffe://x/a", TLS: "TLSv1.3"}},
		},
		"no target":         {sent: header(t, nil)},
		"an empty target":   {sent: header(t, nil, tlv(TypeTarget, ""))},
		"a target of -":     {sent: header(t, nil, tlv(TypeTarget, "-"))},
		"two targets":       {sent: header(t, nil, orders, tlv(TypeTarget, "billing"))},
		"a target twice":    {sent: header(t, nil, orders, orders)},
		"two server names":  {sent: header(t, nil, orders, tlv(TypeServerName, "a"), tlv(TypeServerName, "b"))},
		"a cut TLV":         {sent: cutTLV(header(t, nil, orders))},
		"a check, no proxy": {sent: header(t, func(h *proxyproto.Header) { h.Command = proxyproto.LOCAL }, orders)},
		"no TCP": {sent: header(t, func(h *proxyproto.Header) {
			h.TransportProtocol = proxyproto.UDPv4
			h.SourceAddr, h.DestinationAddr = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7)}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1)}
		}, orders)},
		"a path": {sent: header(t, func(h *proxyproto.Header) {
			h.TransportProtocol = proxyproto.UnixStream
			h.SourceAddr, h.DestinationAddr = &net.UnixAddr{Net: "unix", Name: "/a"}, &net.UnixAddr{Net: "unix", Name: "/b"}
		}, orders)},
		"version 1":         {sent: []byte("PROXY TCP4 192.0.2.7 192.0.2.1 4711 15432\r\n")},
		"version 3":         {sent: replace(header(t, nil, orders), 12, 0x31)},
		"too long":          {sent: header(t, nil, orders, tlv(0xE9, strings.Repeat("x", 5000)))},
		"a length too long": {sent: replace(header(t, nil, orders), 15, 0xff)},
		"cut":               {sent: header(t, nil, orders)[:20]},
		"PostgreSQL":        {sent: []byte{0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 8, 4, 210, 22, 47}},
		"nothing":           {},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := bufio.NewReaderSize(bytes.NewReader(append(tc.sent[:len(tc.sent):len(tc.sent)], "rest"...)), readBuffer)
			if tc.want.target == "" && len(tc.sent) < 28 {
				r = bufio.NewReaderSize(bytes.NewReader(tc.sent), readBuffer)
			}
			got, err := readPreface(r)
			if tc.want.target == "" {
				if err == nil {
					t.Errorf("it was taken: %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.target != tc.want.target || got.client.String() != tc.want.peer.Address {
				t.Errorf("got %+v", got)
			}
			if diff := cmp.Diff(tc.want.peer, got.peer); diff != "" {
				t.Error(diff)
			}
			if rest, _ := r.Peek(r.Buffered()); string(rest) != "rest" {
				t.Errorf("behind it came %q", rest)
			}
		})
	}
}

// cutTLV has the last TLV of a header say that it is one byte longer than it is.
func cutTLV(h []byte) []byte { return replace(h, 16+12+2, h[16+12+2]+1) }

func replace(h []byte, at int, by byte) []byte {
	h[at] = by
	return h
}

// FuzzPreface finds a header that is taken though it is not whole: whatever is
// taken names one target and a client, and says the same when it is written again.
func FuzzPreface(f *testing.F) {
	orders := tlv(TypeTarget, "orders")
	f.Add(header(f, nil, orders))
	f.Add(header(f, nil, orders, tlv(TypeServerName, "db.example"), tlv(TypeTLS, "-")))
	f.Add(header(f, nil, orders, orders))
	f.Add(header(f, func(h *proxyproto.Header) { h.Command = proxyproto.LOCAL }, orders))
	f.Add([]byte("PROXY TCP4 192.0.2.7 192.0.2.1 4711 15432\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		p, err := readPreface(bufio.NewReaderSize(bytes.NewReader(sent), readBuffer))
		if err != nil {
			return
		}
		if p.target == "" || p.client == nil {
			t.Fatalf("taken: %+v", p)
		}
		if host, _, err := net.SplitHostPort(p.peer.Address); err != nil || net.ParseIP(host) == nil {
			t.Fatalf("a client at %q", p.peer.Address)
		}
		again := header(t, func(h *proxyproto.Header) {
			if p.client.(*net.TCPAddr).IP.To4() == nil {
				h.TransportProtocol = proxyproto.TCPv6
				h.DestinationAddr = &net.TCPAddr{IP: net.IPv6loopback}
			}
			h.SourceAddr = p.client
		}, tlv(TypeTarget, p.target), tlv(TypeServerName, p.peer.ServerName), tlv(TypeURISAN, p.peer.URISAN), tlv(TypeTLS, p.peer.TLS))
		if len(again) > int(proxyproto.MaxV2HeaderSize) {
			return
		}
		q, err := readPreface(bufio.NewReaderSize(bytes.NewReader(again), readBuffer))
		if err != nil {
			t.Fatal(err)
		}
		if p.target != q.target || p.peer != q.peer {
			t.Errorf("%+v became %+v", p, q)
		}
	})
}
