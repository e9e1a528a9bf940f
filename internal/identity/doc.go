// Package identity turns a token into a principal: OpenID Connect against any
// issuer, several at a time. It decides who somebody is, never what they may
// do. An issuer that cannot be reached stops its own sign-ins, not the gateway,
// and they work again as soon as it answers.
package identity
