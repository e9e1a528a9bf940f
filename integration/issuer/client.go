package issuer

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// opClient shows a Client to the library.
type opClient struct{ *Client }

func (c opClient) GetID() string                      { return c.ID }
func (c opClient) RedirectURIs() []string             { return nil }
func (c opClient) PostLogoutRedirectURIs() []string   { return nil }
func (c opClient) ResponseTypes() []oidc.ResponseType { return nil }
func (c opClient) LoginURL(string) string             { return "" }
func (c opClient) AccessTokenType() op.AccessTokenType {
	return op.AccessTokenTypeJWT
}
func (c opClient) IDTokenLifetime() time.Duration       { return 15 * time.Minute }
func (c opClient) DevMode() bool                        { return true }
func (c opClient) IsScopeAllowed(string) bool           { return true }
func (c opClient) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c opClient) ClockSkew() time.Duration             { return 0 }

func (c opClient) ApplicationType() op.ApplicationType {
	if c.Device {
		return op.ApplicationTypeNative
	}
	return op.ApplicationTypeWeb
}

func (c opClient) AuthMethod() oidc.AuthMethod {
	switch {
	case c.Device:
		return oidc.AuthMethodNone
	case c.Secret != "":
		return oidc.AuthMethodBasic
	default:
		return oidc.AuthMethodPrivateKeyJWT
	}
}

func (c opClient) GrantTypes() []oidc.GrantType {
	if c.Device {
		return []oidc.GrantType{oidc.GrantTypeDeviceCode}
	}
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}

//nolint:revive // the library's name
func (c opClient) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c opClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
