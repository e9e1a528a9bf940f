package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// server is the library's, and lets assertions stand for a client's secret in
// the client credentials grant too (RFC 7523 section 2.2).
type server struct {
	*op.LegacyServer
	storage *storage
	issuer  string
}

// VerifyClient implements op.Server.
func (s *server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	if r.Data.ClientAssertion == "" {
		return s.LegacyServer.VerifyClient(ctx, r)
	}
	c, err := s.byAssertion(ctx, r.Data)
	if err != nil {
		return nil, oidc.ErrInvalidClient().WithParent(err)
	}
	return opClient{c}, nil
}

func (s *server) byAssertion(ctx context.Context, cc *op.ClientCredentials) (*Client, error) {
	id := cc.ClientID
	if id == "" { // the assertion says who it is; the signature is checked below
		request := new(oidc.JWTTokenRequest)
		if _, err := oidc.ParseToken(cc.ClientAssertion, request); err != nil {
			return nil, err
		}
		id = request.Issuer
	}
	c, ok := s.storage.client(id)
	if !ok {
		return nil, errors.New("unknown client")
	}
	keys, want := oidc.KeySet(oneKey{c.Key}), Federated{Issuer: c.ID, Subject: c.ID}
	if c.Federated != nil {
		want = *c.Federated
		keys = rp.NewRemoteKeySet(http.DefaultClient, want.JWKS)
	}
	subject := op.SubjectCheck(func(r *oidc.JWTTokenRequest) error {
		if r.Issuer != want.Issuer || r.Subject != want.Subject {
			return oidc.ErrSubjectInvalid
		}
		return nil
	})
	var err error
	for _, audience := range []string{s.issuer, s.issuer + "/oauth/token"} {
		verifier := op.NewJWTProfileVerifierKeySet(keys, audience, time.Hour, 5*time.Second, subject)
		if _, err = op.VerifyJWTAssertion(ctx, cc.ClientAssertion, verifier); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// oneKey is the registered key of a client.
type oneKey struct{ key any }

func (k oneKey) VerifySignature(_ context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	if k.key == nil {
		return nil, errors.New("the client has no key")
	}
	return jws.Verify(k.key)
}
