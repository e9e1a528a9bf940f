// Package issuer runs a real OpenID Connect issuer (zitadel/oidc) with fixed
// clients and people, for tests and for the demo. It is not for production: it
// keeps everything in memory and its users' passwords in clear.
package issuer
