package issuer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
)

// None is the algorithm of an unsigned token (RFC 7518 section 3.6).
const None jose.SignatureAlgorithm = "none"

// minting is a token before it is signed.
type minting struct {
	claims map[string]any
	typ    string
	alg    jose.SignatureAlgorithm
	key    any    // nil for the issuer's own
	kid    string // "" for that of the key
	noKid  bool
}

// MintOption changes a token that Mint makes.
type MintOption func(*minting)

// Claim sets a claim, or removes it where the value is nil.
func Claim(name string, value any) MintOption {
	return func(m *minting) {
		if value == nil {
			delete(m.claims, name)
			return
		}
		m.claims[name] = value
	}
}

// Audience replaces the audience.
func Audience(audiences ...string) MintOption { return Claim("aud", audiences) }

// ExpiresIn says when the token expires, counted from now; negative for one
// that has expired.
func ExpiresIn(d time.Duration) MintOption { return Claim("exp", time.Now().Add(d).Unix()) }

// ValidIn says when the token becomes valid, counted from now.
func ValidIn(d time.Duration) MintOption { return Claim("nbf", time.Now().Add(d).Unix()) }

// Type replaces the header's typ; "" leaves it out.
func Type(typ string) MintOption { return func(m *minting) { m.typ = typ } }

// KeyID replaces the header's kid; "" leaves it out.
func KeyID(kid string) MintOption {
	return func(m *minting) { m.kid, m.noKid = kid, kid == "" }
}

// SignedWith signs with another key and algorithm, and still names the
// issuer's current key. None leaves the signature out.
func SignedWith(alg jose.SignatureAlgorithm, key any) MintOption {
	return func(m *minting) { m.alg, m.key = alg, key }
}

// Mint makes a token of this issuer for anybody, without asking the token
// endpoint: for the configured audience, valid as long as the issuer's own.
func (i *Issuer) Mint(subject string, claims map[string]any, opts ...MintOption) (string, error) {
	now := time.Now()
	m := &minting{typ: "JWT", claims: map[string]any{
		"iss": i.URL, "sub": subject, "aud": i.storage.cfg.Audience, "jti": uuid.NewString(),
		"iat": now.Unix(), "exp": now.Add(i.storage.cfg.Lifetime).Unix(),
	}}
	maps.Copy(m.claims, claims)
	for _, opt := range opts {
		opt(m)
	}
	payload, err := json.Marshal(m.claims)
	if err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	own := i.storage.key()
	if m.kid == "" && !m.noKid {
		m.kid = own.id
	}
	switch {
	case m.alg == None:
		return unsigned(m, payload), nil
	case m.key == nil:
		m.alg, m.key = own.alg, own.key
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: m.alg, Key: jose.JSONWebKey{Key: m.key, KeyID: m.kid}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(m.typ)))
	if err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	return jws.CompactSerialize()
}

func unsigned(m *minting, payload []byte) string {
	header := fmt.Sprintf(`{"alg":"none","typ":%q,"kid":%q}`, m.typ, m.kid)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}
