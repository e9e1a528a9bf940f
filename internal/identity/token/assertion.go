package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// assertionLife is how long an assertion is good for; it is used at once.
const assertionLife = 2 * time.Minute

// assertion is what stands for a client's secret (RFC 7523 section 2.2).
func (s *Source) assertion(tokenURL string) (string, error) {
	if s.cfg.AssertionFile != "" {
		raw, err := os.ReadFile(s.cfg.AssertionFile)
		if err != nil {
			return "", fmt.Errorf("federated token: %w", err)
		}
		text := strings.TrimSpace(string(raw))
		if text == "" {
			return "", fmt.Errorf("federated token: %s is empty", s.cfg.AssertionFile)
		}
		return text, nil
	}
	audience := s.cfg.AssertionAudience
	if audience == "" {
		audience = tokenURL
	}
	return sign(s.cfg.KeyFile, s.cfg.KeyID, s.cfg.ClientID, audience)
}

func sign(keyFile, keyID, clientID, audience string) (string, error) {
	key, err := loadKey(keyFile)
	if err != nil {
		return "", fmt.Errorf("private key %s: %w", keyFile, err)
	}
	alg, err := algorithm(key)
	if err != nil {
		return "", fmt.Errorf("private key %s: %w", keyFile, err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: keyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("private key %s: %w", keyFile, err)
	}
	now := time.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{audience}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
}

func loadKey(path string) (crypto.Signer, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is not an unencrypted private key (PKCS #8, PKCS #1 or SEC 1)")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("it cannot sign")
	}
	return signer, nil
}

func algorithm(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return jose.ES256, nil
		case 384:
			return jose.ES384, nil
		case 521:
			return jose.ES512, nil
		}
	}
	return "", errors.New("use RSA, P-256, P-384, P-521 or Ed25519")
}

// expiryOf reads a JWT's exp without verifying anything: it is our own token,
// and the gateway verifies it.
func expiryOf(token string) (time.Time, bool) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	})
	if err != nil {
		return time.Time{}, false
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil || claims.Expiry == nil {
		return time.Time{}, false
	}
	return claims.Expiry.Time(), true
}
