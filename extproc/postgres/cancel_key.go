package postgres

import (
	"context"
	"crypto/rand"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A client is told the process id of its server's, which drivers compare with
// pg_backend_pid(), and a secret of the gateway's own: the server's stays here.
const (
	shortSecret = 4 // bytes: all that protocol 3.0 has room for
	// longSecret are the random bytes of a secret in protocol 3.2, which has room
	// for 256. In front of them is the gateway's name.
	longSecret = 32
)

// Name tells the gateways of a fleet apart.
type Name = [8]byte

// Fleet are the gateways that serve the same targets. A client's CancelRequest
// comes over a connection of its own, which may lead to any of them.
type Fleet interface {
	// Here is this gateway's name.
	Here() Name
	// Cancel has the gateway there, or any where there is nil, cancel what runs in
	// the session with a key. It says whether one has the key.
	Cancel(ctx context.Context, there *Name, target string, pid uint32, secret []byte) (bool, error)
}

// newSecret makes the secret of a cancel key for a client that speaks a minor
// version of the protocol (PostgreSQL, "Message formats": BackendKeyData).
func newSecret(minor uint32, fleet Fleet) []byte {
	if minor < newestMinor {
		secret := make([]byte, shortSecret)
		_, _ = rand.Read(secret) // never fails
		return secret
	}
	var here Name
	if fleet != nil {
		here = fleet.Here()
	}
	secret := make([]byte, len(here)+longSecret)
	_, _ = rand.Read(secret[copy(secret, here[:]):])
	return secret
}

// gatewayOf is the gateway that gave out a secret: nil where a short one does not
// say. Longer ones that no gateway gives out name none, which nobody is.
func gatewayOf(secret []byte) *Name {
	if len(secret) == shortSecret {
		return nil
	}
	var there Name
	if len(secret) == len(there)+longSecret {
		copy(there[:], secret)
	}
	return &there
}

// appendKey appends the key that a client is given in place of the server's.
func appendKey(dst []byte, pid uint32, secret []byte) []byte {
	return encode(dst, &pgproto3.BackendKeyData{ProcessID: pid, SecretKey: secret})
}
