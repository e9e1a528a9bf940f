package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

// issuerOf finds whose token it claims to be, without any network: a stranger's
// token makes nobody fetch anything.
func (a *Authenticator) issuerOf(raw string) (*issuer, *Error) {
	all := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, alg := range algorithms {
		all[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(raw, all)
	var alg *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &alg):
		return nil, notAccepted(errors.New("its algorithm is not allowed"))
	case err != nil:
		return nil, malformed(err)
	}
	claims, err := decode(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, malformed(err)
	}
	iss, _ := claims["iss"].(string)
	is, ok := a.issuers[iss]
	if !ok {
		return nil, unknownIssuer(a.trusted)
	}
	header := jws.Signatures[0].Header
	if !slices.Contains(is.algorithms, jose.SignatureAlgorithm(header.Algorithm)) {
		return nil, notAccepted(fmt.Errorf("algorithm %s is not allowed for this issuer", header.Algorithm))
	}
	if !accessType(header.ExtraHeaders[jose.HeaderType]) {
		return nil, notAccepted(errors.New("its typ is of another kind of token"))
	}
	return is, nil
}

// accessType says whether a token's typ is one that signs somebody in: nothing,
// JWT, or at+jwt (RFC 9068 section 2.1). Logout tokens, DPoP proofs and the
// like name themselves (RFC 8725 section 3.11).
func accessType(typ any) bool {
	if typ == nil {
		return true
	}
	s, ok := typ.(string)
	s = strings.TrimPrefix(strings.ToLower(s), "application/")
	return ok && (s == "" || s == "jwt" || s == "at+jwt")
}

// decode reads the claims; numbers stay exact.
func decode(payload []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	var claims map[string]any
	if err := dec.Decode(&claims); err != nil || claims == nil {
		return nil, errors.New("the payload is no JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the payload")
	}
	return claims, nil
}

// verify checks the signature with the issuer's keys.
func (is *issuer) verify(ctx context.Context, raw string) (map[string]any, *Error) {
	keys, err := is.keySet(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	try := &attempt{keys: keys}
	verifier := oidc.NewVerifier(is.cfg.URL, try, &oidc.Config{
		SupportedSigningAlgs: is.cfg.Algorithms,
		SkipClientIDCheck:    true, // several audiences: checked by principal
		SkipExpiryCheck:      true, // with our own skew: checked by principal
	})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, is.refusal(ctx, try.err, err)
	}
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return nil, notAccepted(err)
	}
	claims, err := decode(payload)
	if err != nil {
		return nil, notAccepted(err)
	}
	return claims, nil
}

// refusal tells a bad token from keys that could not be had. Where the keys
// were fetched a moment ago, the token is what is wrong, unless that failed too.
func (is *issuer) refusal(ctx context.Context, keyErr, err error) *Error {
	switch {
	case ctx.Err() != nil:
		return unreachable(ctx.Err())
	case errors.Is(keyErr, errThrottled) && is.err() == nil:
		return notAccepted(keyErr)
	case keyErr != nil && strings.HasPrefix(keyErr.Error(), "fetching keys"): // go-oidc's word for it
		return unreachable(keyErr)
	default:
		return notAccepted(err)
	}
}
