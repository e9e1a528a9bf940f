package relay

import (
	"bufio"
	"errors"
	"fmt"
	"net"

	"github.com/pires/go-proxyproto"

	"github.com/weir-gateway/weir/extproc"
)

// The types of the TLVs that Envoy is configured to send (PROXY protocol,
// section 2.2.8: 0xE0 to 0xEF are for applications). The target's name belongs to
// the cluster, which is made for one target; the others tell of the client.
const (
	TypeTarget     = 0xE0
	TypeServerName = 0xE2 // SNI
	TypeURISAN     = 0xE3 // of a verified client certificate
	TypeTLS        = 0xE4 // version of the client's TLS with Envoy
)

// readBuffer holds a whole header as Envoy sends it, and the client's first words.
const readBuffer = 4 << 10

// preface is what a connection says before the client's bytes.
type preface struct {
	target string
	peer   extproc.Peer
	client net.Addr
}

// readPreface reads a header of version 2 that names one target and a client that
// came by TCP. Nothing else is taken.
func readPreface(r *bufio.Reader) (preface, error) {
	first, err := r.Peek(len(proxyproto.SIGV2))
	if err != nil {
		return preface{}, err
	}
	if string(first) != string(proxyproto.SIGV2) {
		return preface{}, errors.New("no PROXY header of version 2")
	}
	h, err := proxyproto.Read(r)
	if err != nil {
		return preface{}, err
	}
	client, _, ok := h.TCPAddrs()
	if !ok || !h.Command.IsProxy() {
		return preface{}, errors.New("a PROXY header without a client that came by TCP")
	}
	p := preface{client: client, peer: extproc.Peer{Address: client.String()}}
	return p, p.readTLVs(h)
}

func (p *preface) readTLVs(h *proxyproto.Header) error {
	tlvs, err := h.TLVs()
	if err != nil {
		return err
	}
	seen := map[proxyproto.PP2Type]bool{}
	for _, t := range tlvs {
		var to *string
		switch t.Type {
		case TypeTarget:
			to = &p.target
		case TypeServerName:
			to = &p.peer.ServerName
		case TypeURISAN:
			to = &p.peer.URISAN
		case TypeTLS:
			to = &p.peer.TLS
		default:
			continue
		}
		if seen[t.Type] {
			return fmt.Errorf("TLV %#x twice", byte(t.Type))
		}
		seen[t.Type] = true
		if value := string(t.Value); value != "-" { // so Envoy writes that there is none
			*to = value
		}
	}
	if p.target == "" {
		return errors.New("a PROXY header that names no target")
	}
	return nil
}
