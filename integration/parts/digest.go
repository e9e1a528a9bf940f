package parts

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// errDigest marks an archive that is not the one in the lock.
var errDigest = errors.New("does not match the lock")

// verify compares a file with a digest of the lock, sha256-<hex> or
// sha512-<base64> (the form npm calls integrity).
func verify(file, digest string) error {
	algorithm, want, _ := strings.Cut(digest, "-")
	var sum hash.Hash
	var encode func([]byte) string
	switch algorithm {
	case "sha256":
		sum, encode = sha256.New(), hex.EncodeToString
	case "sha512":
		sum, encode = sha512.New(), base64.StdEncoding.EncodeToString
	default:
		return fmt.Errorf("lock.json: digest %q is neither sha256 nor sha512", digest)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if got := encode(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s %w: want %s, got %s-%s", file, errDigest, digest, algorithm, got)
	}
	return nil
}
