package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxStartup is the longest startup packet, as in the server
// (MAX_STARTUP_PACKET_LENGTH).
const maxStartup = 10000

const (
	tlsRecordHandshake = 0x16
	protocolMajor      = 3
	newestMinor        = 2
)

// greeting is what a client has said before it signs in. Exactly one of cancel
// and params is set.
type greeting struct {
	conn   net.Conn // with TLS where that was agreed
	reader *frameReader
	tls    string // version, "" in clear
	// certificates are the chain that the client showed in TLS, unverified.
	certificates []*x509.Certificate
	way          SignIn // how the client signs in, once that is known
	minor        uint32 // of the protocol, 0 or 2
	old          bool   // the client speaks a protocol before 3, in which errors are a line of text
	// negotiate says that the client asked for more than is spoken here.
	negotiate    bool
	unrecognized []string
	params       *startupParams
	cancel       *pgproto3.CancelRequest
}

// goodbye says in TLS too that this was all (close_notify).
func (g *greeting) goodbye() {
	if g.tls != "" {
		_ = g.conn.Close()
	}
}

// greet takes the client through TLS and the other requests that may come first
// (PostgreSQL, "Message flow: start-up", "SSL session encryption").
func (h *Handler) greet(ctx context.Context, conn net.Conn, reader *frameReader) (*greeting, error) {
	g := &greeting{conn: conn, reader: reader}
	first, err := reader.peek()
	if err != nil {
		return g, err
	}
	if first == tlsRecordHandshake {
		if h.cfg.GetCertificate == nil {
			return g, errors.New("direct TLS, and there is no certificate")
		}
		if err := g.secure(ctx, &h.cfg, true); err != nil {
			return g, err
		}
	}
	// The server answers each of the two requests once, in either order, and
	// asks for no other encryption where there is TLS.
	sslDone, gssDone := false, false
	for {
		packet, err := g.packet()
		if err != nil {
			return g, err
		}
		switch code := binary.BigEndian.Uint32(packet); {
		case code == sslRequestCode && !sslDone:
			sslDone = true
			if err := g.answerTLS(ctx, &h.cfg); err != nil {
				return g, err
			}
			gssDone = gssDone || g.tls != ""
		case code == gssRequestCode && !gssDone:
			gssDone = true
			if err := g.answer('N'); err != nil {
				return g, err
			}
		case code == cancelRequestCode:
			g.cancel = new(pgproto3.CancelRequest)
			return g, g.cancel.Decode(packet)
		default:
			return g, g.start(packet)
		}
	}
}

// packet reads one packet of the start-up, which has no type byte, and returns
// what follows its length. It is valid until the next read.
func (g *greeting) packet() ([]byte, error) {
	head, err := g.reader.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < 8 || n > maxStartup {
		return nil, fatal(codeProtocolViolation, "invalid length of startup packet")
	}
	return g.reader.take(int(n) - 4)
}

// answerTLS answers a TLS request.
func (g *greeting) answerTLS(ctx context.Context, cfg *Config) error {
	if cfg.GetCertificate == nil || g.tls != "" { // it began with TLS
		return g.answer('N')
	}
	if err := g.answer('S'); err != nil {
		return err
	}
	return g.secure(ctx, cfg, false)
}

// answer writes a one-byte answer. What a client sent behind its request in
// clear must not be taken for what it says next (CVE-2021-23222).
func (g *greeting) answer(b byte) error {
	if g.reader.buffered() > 0 {
		return fatal(codeProtocolViolation, "received unencrypted data after an SSL or GSSAPI encryption request")
	}
	_, err := g.conn.Write([]byte{b})
	return err
}

func (g *greeting) secure(ctx context.Context, cfg *Config, direct bool) error {
	conn := g.conn
	if direct {
		rest, err := g.reader.chunk(g.reader.buffered())
		if err != nil {
			return err
		}
		conn = &replayed{Conn: conn, first: append([]byte(nil), rest...)}
	}
	secure, err := cfg.clientTLS(ctx, conn, direct)
	if err != nil {
		return err
	}
	g.conn, g.reader = secure, newFrameReader(secure)
	state := secure.ConnectionState()
	g.tls, g.certificates = tls.VersionName(state.Version), state.PeerCertificates
	return nil
}

// start reads a StartupMessage.
func (g *greeting) start(packet []byte) error {
	version := binary.BigEndian.Uint32(packet)
	major, minor := version>>16, version&0xffff
	if major != protocolMajor {
		g.old = major == 1 || major == 2
		return fatal(codeFeatureNotSupported, "unsupported frontend protocol %d.%d: server supports 3.0 to 3.%d", major, minor, newestMinor)
	}
	g.minor = min(minor, newestMinor)
	var err error
	g.params, g.unrecognized, err = parseStartup(packet[4:])
	g.negotiate = minor > newestMinor || len(g.unrecognized) > 0
	return err
}

// peek waits for the first byte and does not take it.
func (f *frameReader) peek() (byte, error) {
	if err := f.need(1); err != nil {
		return 0, err
	}
	return f.buf[f.r], nil
}

// gone says whether an error means that the peer has gone away, about which
// there is nothing to say.
func gone(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// describe names a failed start-up for the record.
func (g *greeting) describe(err error) string {
	var p *problem
	if errors.As(err, &p) {
		return p.message
	}
	return fmt.Sprintf("start-up failed: %v", err)
}
