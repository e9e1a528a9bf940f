package postgres

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// SignIn is a way in which a client shows who it is.
type SignIn string

// The ways, in the words of pg_hba.conf where it has them.
const (
	SignInPassword    SignIn = "password"    // the token is the password
	SignInOAuth       SignIn = "oauth"       // SASL OAUTHBEARER (RFC 7628)
	SignInCertificate SignIn = "certificate" // of the client's TLS
)

const (
	// maxToken is the longest message that carries a token, as in the server
	// (PG_MAX_AUTH_TOKEN_LENGTH).
	maxToken = 65535
	// maxSwallowed is how much of a token that is too long is read, in bytes.
	maxSwallowed = 1 << 20
)

const (
	tokenHint       = "Get a new token and use it as the password: PGPASSWORD=$(weir token)."
	oauthHint       = "Get a new token from the issuer."
	certificateHint = "Connect with sslcert and sslkey: a certificate that the gateway's operator trusts for sign-in."
)

// signInClient finds out who the client is, in one of the ways that the target
// offers. Whom the client says it is does not matter.
func (h *Handler) signInClient(ctx context.Context, g *greeting, peer *extproc.Peer) (gate.Principal, error) {
	var err error
	if g.way, err = h.cfg.wayOf(g); err != nil {
		return gate.Principal{}, err
	}
	if g.way == SignInCertificate {
		return h.signInCertificate(ctx, g)
	}
	if g.tls == "" && peer.TLS == "" && !loopback(peer.Address) {
		return gate.Principal{}, fatal(codeInvalidAuth, "a token is taken over TLS only").
			withHint("Connect with sslmode=require or stricter.")
	}
	if g.way == SignInOAuth {
		return h.signInOAuth(ctx, g)
	}
	token, err := g.askPassword()
	if err != nil {
		return gate.Principal{}, err
	}
	principal, err := h.deps.Identity.Authenticate(ctx, token)
	if err != nil {
		return gate.Principal{}, h.notSignedIn(ctx, err, codeInvalidPassword, "the token").withHint(tokenHint)
	}
	return principal, nil
}

// wayOf chooses how a client signs in: the protocol lets the gateway ask for one
// thing only. A certificate that is shown is judged and nothing else; else it is
// what the client asked for, else the first that the target offers.
func (c *Config) wayOf(g *greeting) (SignIn, error) {
	if len(g.certificates) > 0 { // it was asked for, so it is one of the ways
		return SignInCertificate, nil
	}
	chosen := g.params.signIn
	if chosen == "" {
		chosen = SignInCertificate
		for _, way := range slices.Backward(c.SignIn) {
			if way != SignInCertificate {
				chosen = way
			}
		}
	}
	switch {
	case !slices.Contains(c.SignIn, chosen):
		return "", fatal(codeInvalidAuth, "target %s offers no sign-in by %q", c.Target.Name, string(chosen)).
			withHint("It offers: %s.", list(c.SignIn))
	case chosen == SignInCertificate:
		return "", fatal(codeInvalidAuth, "connection requires a valid client certificate").withHint(certificateHint)
	}
	return chosen, nil
}

// signInCertificate judges the certificate that the client has shown.
func (h *Handler) signInCertificate(ctx context.Context, g *greeting) (gate.Principal, error) {
	principal, err := h.deps.Certificates.Verify(g.certificates)
	if err != nil {
		h.deps.Log.InfoContext(ctx, "a client's certificate was refused", "target", h.cfg.Target.Name, "err", err)
		return gate.Principal{}, h.notSignedIn(ctx, err, codeInvalidAuth, "the certificate").withHint(certificateHint)
	}
	return principal, nil
}

// notSignedIn is what the client is told: as much as the error makes public.
func (h *Handler) notSignedIn(ctx context.Context, err error, code, what string) *problem {
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return fatal(code, "sign-in failed: %s", public.Public())
	}
	h.deps.Log.ErrorContext(ctx, what+" could not be checked", "target", h.cfg.Target.Name, "err", err)
	return fatal(code, "sign-in failed: %s could not be checked", what)
}

// askPassword asks for a password in clear and returns it.
func (g *greeting) askPassword() (string, error) {
	c, err := g.ask(&pgproto3.AuthenticationCleartextPassword{}, "password message")
	if err != nil {
		return "", err
	}
	token := c.string()
	switch {
	case c.end() != nil:
		return "", fatal(codeProtocolViolation, "malformed password message")
	case token == "":
		return "", fatal(codeInvalidPassword, "sign-in failed: no token was given").withHint(tokenHint)
	}
	return token, nil
}

// ask sends a request for authentication and returns the body of the answer.
func (g *greeting) ask(request pgproto3.BackendMessage, want string) (*cursor, error) {
	if _, err := g.conn.Write(encode(nil, request)); err != nil {
		return nil, err
	}
	kind, size, err := g.reader.next()
	switch {
	case err != nil && errors.Is(err, errFrame), err == nil && kind != msgPassword:
		return nil, fatal(codeProtocolViolation, "expected a %s", want)
	case err != nil:
		return nil, err
	case size > maxToken:
		// Whoever is still sending when the connection closes does not read why.
		_ = g.reader.discard(min(size, maxSwallowed))
		return nil, fatal(codeInvalidPassword, "the token is too long: %d bytes, at most %d are taken", size-headerLen, maxToken-headerLen)
	}
	frame, err := g.reader.take(size)
	if err != nil {
		return nil, err
	}
	return body(frame), nil
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
