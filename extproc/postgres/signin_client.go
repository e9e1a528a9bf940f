package postgres

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// maxToken is the longest password message, as in the server
// (PG_MAX_AUTH_TOKEN_LENGTH).
const maxToken = 65535

// maxSwallowed is how much of a token that is too long is read, in bytes.
const maxSwallowed = 1 << 20

const tokenHint = "Get a new token and use it as the password: PGPASSWORD=$(weir token)."

// signInClient asks the client for its token, in the message that carries a
// password, and finds out who it is. Whom the client says it is does not matter.
func (h *Handler) signInClient(ctx context.Context, g *greeting, peer *extproc.Peer) (gate.Principal, error) {
	if g.tls == "" && peer.TLS == "" && !loopback(peer.Address) {
		return gate.Principal{}, fatal(codeInvalidAuth, "a token is taken over TLS only").
			withHint("Connect with sslmode=require or stricter.")
	}
	token, err := g.askToken()
	if err != nil {
		return gate.Principal{}, err
	}
	principal, err := h.deps.Identity.Authenticate(ctx, token)
	if err == nil {
		return principal, nil
	}
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return gate.Principal{}, fatal(codeInvalidAuth, "sign-in failed: %s", public.Public()).withHint(tokenHint)
	}
	h.deps.Log.ErrorContext(ctx, "a token could not be checked", "target", h.cfg.Target.Name, "err", err)
	return gate.Principal{}, fatal(codeInvalidAuth, "sign-in failed: the token could not be checked").withHint(tokenHint)
}

// askToken asks for a password in clear and returns it.
func (g *greeting) askToken() (string, error) {
	if _, err := g.conn.Write(encode(nil, &pgproto3.AuthenticationCleartextPassword{})); err != nil {
		return "", err
	}
	kind, size, err := g.reader.next()
	switch {
	case err != nil && errors.Is(err, errFrame), err == nil && kind != msgPassword:
		return "", fatal(codeProtocolViolation, "expected a password message")
	case err != nil:
		return "", err
	case size > maxToken:
		// Whoever is still sending when the connection closes does not read why.
		_ = g.reader.discard(min(size, maxSwallowed))
		return "", fatal(codeInvalidAuth, "the token is too long: %d bytes, at most %d are taken", size-headerLen, maxToken-headerLen)
	}
	frame, err := g.reader.take(size)
	if err != nil {
		return "", err
	}
	c := body(frame)
	token := c.string()
	switch {
	case c.end() != nil:
		return "", fatal(codeProtocolViolation, "malformed password message")
	case token == "":
		return "", fatal(codeInvalidAuth, "sign-in failed: no token was given").withHint(tokenHint)
	}
	return token, nil
}

// loopback says whether an address (host:port) is on this machine, so that what
// it sends in clear leaves no machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}
