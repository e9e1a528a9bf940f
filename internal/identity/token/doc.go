// Package token gets tokens for the command line: by client credentials
// (secret, private key or federated token file) for programs, by device code
// for people. It keeps a token until it expires.
package token
