package postgres

import (
	"context"
	"crypto/md5" //nolint:gosec // the server's own method, where it asks for it
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxSignIn bounds a message of the server before it is ready, in bytes.
const maxSignIn = 64 << 10

// Authentication requests (PostgreSQL, "Message formats": Authentication…).
const (
	authOK           = 0
	authCleartext    = 3
	authMD5          = 5
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

// signedIn is a connection to the server that is ready for queries.
type signedIn struct {
	conn   net.Conn
	reader *frameReader
	// opening is what the server said from AuthenticationOk to ReadyForQuery,
	// as it goes to the client.
	opening  []byte
	params   map[string]string       // as the server reported them
	key      pgproto3.BackendKeyData // the server's
	secret   []byte                  // of the key that the client is given instead
	txStatus byte
}

// signInServer signs in with the target's own user and secret.
func (h *Handler) signInServer(ctx context.Context, conn net.Conn, g *greeting, database string) (*signedIn, error) {
	s := &signedIn{conn: conn, reader: newFrameReader(conn), params: map[string]string{}, secret: newSecret(g.minor, h.deps.Fleet)}
	// Where this fails the server may have said why: it refuses a certificate, in
	// TLS 1.3, when the gateway has done with the handshake already.
	_, _ = conn.Write(startupMessage(&h.cfg, g, database))
	for {
		kind, frame, err := s.read()
		if err != nil {
			return nil, err
		}
		switch kind {
		case msgAuthentication:
			err = h.authenticate(ctx, s, frame)
		case msgError:
			return nil, h.signInError(ctx, frame)
		case msgNegotiate: // an older server: it speaks 3.0, which a 3.2 client understands
		case msgParameterStatus, msgBackendKey, msgNotice, msgReady:
			err = s.open(kind, frame)
		default:
			err = fmt.Errorf("unexpected message %q while signing in", kind)
		}
		switch {
		case err != nil:
			return nil, err
		case kind == msgReady:
			return s, nil
		}
	}
}

// read returns the next message, whole.
func (s *signedIn) read() (byte, []byte, error) {
	kind, size, err := s.reader.next()
	if err != nil {
		return 0, nil, err
	}
	if size > maxSignIn {
		return 0, nil, fmt.Errorf("a message of %d bytes while signing in", size)
	}
	frame, err := s.reader.take(size)
	return kind, frame, err
}

// open keeps what comes after the server has let the gateway in.
func (s *signedIn) open(kind byte, frame []byte) error {
	if len(s.opening) == 0 {
		return errors.New("the server went on without authentication")
	}
	c := body(frame)
	if kind != msgBackendKey {
		s.opening = append(s.opening, frame...)
	}
	switch kind {
	case msgParameterStatus:
		name, value := c.string(), c.string()
		s.params[name] = value
		return c.end()
	case msgBackendKey:
		if err := s.key.Decode(frame[headerLen:]); err != nil {
			return err
		}
		s.opening = appendKey(s.opening, s.key.ProcessID, s.secret)
	case msgReady:
		s.txStatus = c.byte()
		return c.end()
	}
	return nil
}

func startupMessage(cfg *Config, g *greeting, database string) []byte {
	b := make([]byte, 4, 256)
	b = binary.BigEndian.AppendUint32(b, protocolMajor<<16|g.minor)
	settings := g.params.replication.append([]setting{{"user", cfg.Upstream.User}, {"database", database}})
	settings = append(settings, g.params.settings...)
	for _, s := range settings {
		b = append(append(b, printable(s.name)...), 0)
		b = append(append(b, printable(s.value)...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// authenticate answers one request of the server.
func (h *Handler) authenticate(ctx context.Context, s *signedIn, frame []byte) error {
	c := body(frame)
	method := c.uint32()
	switch method {
	case authOK:
		s.opening = append(s.opening, frame...)
		return c.end()
	case authCleartext:
		if _, ok := s.conn.(*tls.Conn); !ok {
			return errors.New("the server asks for the password in clear, and the connection is not in TLS")
		}
		password, err := h.password(ctx)
		if err != nil {
			return err
		}
		return s.sendPassword(password)
	case authMD5:
		password, err := h.password(ctx)
		if err != nil {
			return err
		}
		return s.sendPassword(md5Password(h.cfg.Upstream.User, password, c.bytes(4)))
	case authSASL:
		password, err := h.password(ctx)
		if err != nil {
			return err
		}
		return h.scram(s, password, strings.Split(string(c.b), "\x00"))
	}
	return fmt.Errorf("the server asks for authentication method %d, which the gateway does not have", method)
}

func (h *Handler) password(ctx context.Context) (string, error) {
	if h.deps.Password == nil {
		return "", errors.New("the server asks for a password, and the target has none")
	}
	password, err := h.deps.Password(ctx)
	if err != nil {
		return "", fmt.Errorf("the target's password: %w", err)
	}
	return password, nil
}

func (s *signedIn) sendPassword(password string) error {
	_, err := s.conn.Write(appendMessage(nil, msgPassword, cstring(printable(password))))
	return err
}

// md5Password is PostgreSQL's md5 method: a digest of the password and the user,
// then of that and the salt.
func md5Password(user, password string, salt []byte) string {
	inner := md5.Sum([]byte(password + user)) //nolint:gosec // see the import
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt...))
	return "md5" + hex.EncodeToString(outer[:])
}

// signInError is what the client is told when the server turns the gateway away:
// enough to know whom to ask, nothing about the credential.
func (h *Handler) signInError(ctx context.Context, frame []byte) error {
	var m pgproto3.ErrorResponse
	if err := m.Decode(frame[headerLen:]); err != nil {
		return err
	}
	name := h.cfg.Target.Name
	h.deps.Log.ErrorContext(ctx, "the server refused the gateway's sign-in", "target", name, "code", m.Code, "message", m.Message)
	switch m.Code[:min(2, len(m.Code))] {
	case "28":
		return fatal(m.Code, "the gateway could not sign in to target %s", name).
			withHint("The target's credential is the gateway's; its operator can see the reason in the log.")
	case "3D", "22", "42", "55":
		// No such database, a setting that it does not know, cannot change or
		// whose value is none:
		// what the client asked for itself is answered in the server's words.
		return &problem{
			severity: "FATAL", code: m.Code, message: m.Message, detail: m.Detail, hint: m.Hint,
			file: m.File, line: m.Line, routine: m.Routine,
		}
	case "53", "57": // no room, not up yet
		return fatal(m.Code, "target %s: %s", name, m.Message)
	}
	return fatal(codeConnectionFailure, "the gateway could not sign in to target %s", name)
}
