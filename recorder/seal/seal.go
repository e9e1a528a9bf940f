// Package seal keeps the originals that masks replaced readable for auditors
// only. Each session has one random data key, which is sealed once to the
// auditors' age recipients; the gateway forgets it when the session ends and
// cannot open what it wrote. Deleting a sealed key shreds its session's
// originals. The package knows no log and no store.
package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/chacha20poly1305"
)

// counterSize is the length of the counter in front of each sealed chunk: the
// last 8 bytes of its nonce.
const counterSize = 8

// window bounds how far back compression looks, and so its memory.
const window = 1 << 20

// ParseRecipients reads auditors' public keys (age1…). An empty list is no
// recipients: nothing can be sealed.
func ParseRecipients(auditors []string) ([]age.Recipient, error) {
	if len(auditors) == 0 {
		return nil, nil
	}
	out, err := age.ParseRecipients(strings.NewReader(strings.Join(auditors, "\n")))
	if err != nil {
		return nil, fmt.Errorf("auditors: %w", err)
	}
	return out, nil
}

// Position is where a chunk belongs. It is authenticated with the chunk, so
// that one cannot be moved, repeated, or left off the end unnoticed.
type Position struct {
	Session   string
	Operation string
	Offset    uint64 // of its first byte among the operation's originals
	Final     bool   // nothing follows
}

// additionalData is a position as the AEAD sees it: every field with its length.
func (p Position) additionalData() []byte {
	out := []byte("weir original v1")
	for _, text := range [...]string{p.Session, p.Operation} {
		out = append(binary.BigEndian.AppendUint64(out, uint64(len(text))), text...)
	}
	out = binary.BigEndian.AppendUint64(out, p.Offset)
	if p.Final {
		return append(out, 1)
	}
	return append(out, 0)
}

// Sealer makes data keys for one set of auditors.
type Sealer struct {
	recipients []age.Recipient
	zstd       *zstd.Encoder
}

// New makes a Sealer for at least one recipient.
func New(recipients []age.Recipient) (*Sealer, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no auditor to seal for")
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return nil, err
	}
	return &Sealer{recipients: recipients, zstd: enc}, nil
}

// Key seals the originals of one session. It is not safe for concurrent use.
type Key struct {
	ID     string // of the sealed key
	Sealed []byte // the data key in an age file for the auditors

	aead    cipher.AEAD
	zstd    *zstd.Encoder
	counter uint64
}

// NewKey makes a data key and seals it to the auditors.
func (s *Sealer) NewKey() (*Key, error) {
	secret := make([]byte, chacha20poly1305.KeySize)
	rand.Read(secret) // never fails
	aead, err := chacha20poly1305.New(secret)
	if err != nil {
		return nil, err
	}
	sealed, err := sealKey(secret, s.recipients)
	clear(secret)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return &Key{ID: uuid.Must(uuid.NewV7()).String(), Sealed: sealed, aead: aead, zstd: s.zstd}, nil
}

func sealKey(secret []byte, recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(secret); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Seal compresses and encrypts one chunk (ChaCha20-Poly1305, RFC 8439).
func (k *Key) Seal(at Position, plain []byte) []byte {
	var nonce [chacha20poly1305.NonceSize]byte
	binary.BigEndian.PutUint64(nonce[len(nonce)-counterSize:], k.counter)
	k.counter++ // one key, one writer: never twice
	packed := k.zstd.EncodeAll(plain, nil)
	out := make([]byte, counterSize, counterSize+len(packed)+k.aead.Overhead())
	copy(out, nonce[len(nonce)-counterSize:])
	return k.aead.Seal(out, nonce[:], packed, at.additionalData())
}

// Opener opens the originals of one session.
type Opener struct {
	aead cipher.AEAD
	zstd *zstd.Decoder
}

// maxChunk bounds a chunk's bytes, unpacked.
const maxChunk = 64 << 20

// Open reads a sealed data key with an auditor's identity.
func Open(sealed []byte, identities ...age.Identity) (*Opener, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	secret, err := io.ReadAll(io.LimitReader(r, chacha20poly1305.KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	aead, err := chacha20poly1305.New(secret)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk))
	if err != nil {
		return nil, err
	}
	return &Opener{aead: aead, zstd: dec}, nil
}

// Close frees what the Opener holds.
func (o *Opener) Close() { o.zstd.Close() }

// Chunk opens one chunk. It fails unless the chunk was sealed for exactly this
// position.
func (o *Opener) Chunk(at Position, sealed []byte) ([]byte, error) {
	if len(sealed) < counterSize {
		return nil, errors.New("sealed chunk: cut short")
	}
	var nonce [chacha20poly1305.NonceSize]byte
	copy(nonce[len(nonce)-counterSize:], sealed)
	packed, err := o.aead.Open(nil, nonce[:], sealed[counterSize:], at.additionalData())
	if err != nil {
		return nil, fmt.Errorf("sealed chunk at %d of operation %s: it was changed or moved: %w", at.Offset, at.Operation, err)
	}
	plain, err := o.zstd.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("sealed chunk at %d of operation %s: %w", at.Offset, at.Operation, err)
	}
	return plain, nil
}
