package seal

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"filippo.io/age"
)

// Sealed is one stored chunk of an operation's originals.
type Sealed struct {
	Position
	Data []byte
}

// ErrTruncated means that an operation's originals do not reach their end.
var ErrTruncated = errors.New("the end of the originals is missing")

// OpenSealed writes the originals of one operation to w: sealedKey is its
// session's sealed data key, chunks are its stored chunks in order. It fails
// when a chunk was changed, moved, repeated or left out, the last one included.
func OpenSealed(identity age.Identity, sealedKey []byte, chunks iter.Seq2[Sealed, error], w io.Writer) error {
	o, err := Open(sealedKey, identity)
	if err != nil {
		return err
	}
	defer o.Close()
	var next uint64
	final := false
	for c, err := range chunks {
		switch {
		case err != nil:
			return err
		case final:
			return fmt.Errorf("operation %s: chunks after the last one", c.Operation)
		case c.Offset != next:
			return fmt.Errorf("operation %s: originals at %d are missing, the next are at %d", c.Operation, next, c.Offset)
		}
		plain, err := o.Chunk(c.Position, c.Data)
		if err != nil {
			return err
		}
		if _, err := w.Write(plain); err != nil {
			return err
		}
		next += uint64(len(plain))
		final = c.Final
	}
	if !final {
		return ErrTruncated
	}
	return nil
}
