package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
)

// oauthMechanism is the only SASL mechanism that clients are offered (RFC 7628).
const oauthMechanism = "OAUTHBEARER"

// separator stands between the parts of an OAUTHBEARER message (kvsep).
const separator = "\x01"

// Discovery tells a client without a good token where to get one.
type Discovery struct {
	Configuration string // URL of the issuer's OpenID configuration
	Scope         string // to ask for; "" for none
}

// failure is the answer to a token that is not accepted (RFC 7628 section 3.2.2).
type failure struct {
	Status        string `json:"status"`
	Configuration string `json:"openid-configuration,omitempty"`
	Scope         string `json:"scope,omitempty"`
}

// signInOAuth takes the client through SASL OAUTHBEARER as the server does
// (auth-oauth.c).
func (h *Handler) signInOAuth(ctx context.Context, g *greeting) (gate.Principal, error) {
	message, err := g.askOAuth()
	if err != nil {
		return gate.Principal{}, err
	}
	authorization, p := parseOAuth(message)
	if p != nil {
		return gate.Principal{}, p
	}
	if authorization == "" {
		// Not a sign-in but a question: which issuer? Nobody has shown anything,
		// so nobody is recorded as refused.
		if err := h.failOAuth(g); err != nil {
			return gate.Principal{}, err
		}
		return gate.Principal{}, &recorded{fatal(codeInvalidAuth, "sign-in failed: no token was given").withHint(oauthHint)}
	}
	token, ok := bearerToken(authorization)
	if !ok {
		return gate.Principal{}, h.refuseOAuth(g, fatal(codeInvalidAuth, "sign-in failed: this is not a bearer token"))
	}
	principal, err := h.deps.Identity.Authenticate(ctx, token)
	if err != nil {
		return gate.Principal{}, h.refuseOAuth(g, h.notSignedIn(ctx, err, codeInvalidAuth, "the token"))
	}
	return principal, nil
}

// askOAuth offers the mechanism and returns the client's first message of it.
func (g *greeting) askOAuth() (string, error) {
	c, err := g.ask(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{oauthMechanism}}, "SASL response")
	if err != nil {
		return "", err
	}
	mechanism, length := c.string(), int32(c.uint32())
	switch {
	case c.wrong != "":
		return "", fatal(codeProtocolViolation, "malformed SASL response")
	case mechanism != oauthMechanism:
		return "", fatal(codeProtocolViolation, "client selected an invalid SASL authentication mechanism")
	case length == -1: // no initial response: it comes when it is asked for
		if c, err = g.ask(&pgproto3.AuthenticationSASLContinue{}, "SASL response"); err != nil {
			return "", err
		}
		return string(c.b), nil
	case int(length) != len(c.b):
		return "", fatal(codeProtocolViolation, "malformed SASL response")
	}
	return string(c.b), nil
}

// failOAuth tells the client where to get a token, and waits for the empty answer
// that ends a failed exchange (RFC 7628 section 3.2.3).
func (h *Handler) failOAuth(g *greeting) error {
	where := h.deps.Discovery()
	text, err := json.Marshal(failure{Status: "invalid_token", Configuration: where.Configuration, Scope: where.Scope})
	if err != nil {
		return err
	}
	c, err := g.ask(&pgproto3.AuthenticationSASLContinue{Data: text}, "SASL response")
	if err != nil {
		return err
	}
	if string(c.b) != separator {
		return malformedOAuth("Client did not send a kvsep response.")
	}
	return nil
}

// refuseOAuth is failOAuth for a token that was shown: the refusal counts, though
// the client may have left by then.
func (h *Handler) refuseOAuth(g *greeting, p *problem) error {
	var wrong *problem
	if err := h.failOAuth(g); errors.As(err, &wrong) {
		return wrong
	}
	return p.withHint(oauthHint)
}

func malformedOAuth(detail string) *problem {
	p := fatal(codeProtocolViolation, "malformed OAUTHBEARER message")
	p.detail = detail
	return p
}

// parseOAuth reads the client's first message (RFC 7628 section 3.1): a GS2
// header without channel binding and without another identity to act for, then
// pairs of key and value. It returns the value of "auth"; the other keys say
// nothing here.
func parseOAuth(message string) (string, *problem) {
	if strings.Contains(message, "\x00") {
		return "", malformedOAuth("Message contains a NUL.")
	}
	header, rest, ok := strings.Cut(message, separator)
	switch {
	case strings.HasPrefix(header, "p"):
		return "", malformedOAuth("The server does not support channel binding for OAuth, but the client message includes channel binding data.")
	case (strings.HasPrefix(header, "n,a=") || strings.HasPrefix(header, "y,a=")):
		return "", fatal(codeFeatureNotSupported, "client uses authorization identity, but it is not supported")
	case !ok || header != "n,," && header != "y,,":
		return "", malformedOAuth("The GS2 header is not understood.")
	}
	authorization, found := "", false
	for rest != separator {
		pair, after, ok := strings.Cut(rest, separator)
		if !ok {
			return "", malformedOAuth("Message did not contain a final terminator.")
		}
		rest = after
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok:
			return "", malformedOAuth("Message contains a key without a value.")
		case !oauthKey.MatchString(key):
			return "", malformedOAuth("Message contains an invalid key name.")
		case !oauthValue.MatchString(value):
			return "", malformedOAuth("Message contains an invalid value.")
		case key == "auth" && found:
			return "", malformedOAuth("Message contains multiple auth values.")
		case key == "auth":
			authorization, found = value, true
		}
	}
	if !found {
		return "", malformedOAuth("Message does not contain an auth value.")
	}
	return authorization, nil
}

// The grammar of RFC 7628 section 3.1 (kvpair), and of RFC 6750 section 2.1.
var (
	oauthKey   = regexp.MustCompile(`^[A-Za-z]+$`)
	oauthValue = regexp.MustCompile(`^[\x21-\x7e \t\r\n]*$`)
	bearer     = regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9._~+/-]+=*)$`)
)

// bearerToken is the token in the value of an Authorization header.
func bearerToken(authorization string) (string, bool) {
	m := bearer.FindStringSubmatch(authorization)
	if m == nil {
		return "", false
	}
	return m[1], true
}
