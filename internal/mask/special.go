package mask

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// uuidCell keeps a uuid a uuid: hash and fake give a version 8 one (RFC 9562).
func (m *Masker) uuidCell(s Spec, bin bool) Cell {
	if s.With != Hash && s.With != Fake {
		return nullCell
	}
	return func(dst, value []byte) ([]byte, bool) {
		id, err := readUUID(value, bin)
		if err != nil {
			return dst, true
		}
		sum := m.sumOf(id[:])
		copy(id[:], sum[:])
		id[6] = id[6]&0x0f | 0x80
		id[8] = id[8]&0x3f | 0x80
		if bin {
			return append(dst, id[:]...), false
		}
		return appendUUID(dst, &id), false
	}
}

// appendUUID writes a uuid as PostgreSQL does.
func appendUUID(dst []byte, id *uuid.UUID) []byte {
	dst = hex.AppendEncode(dst, id[:4])
	for at := 4; at < 10; at += 2 {
		dst = hex.AppendEncode(append(dst, '-'), id[at:at+2])
	}
	return hex.AppendEncode(append(dst, '-'), id[10:])
}

func readUUID(value []byte, bin bool) (uuid.UUID, error) {
	if bin {
		return uuid.FromBytes(value)
	}
	return uuid.ParseBytes(value)
}

// byteaCell hides bytes: a hash is 16 bytes, anything else NULL.
func (m *Masker) byteaCell(s Spec, bin bool) Cell {
	if s.With != Hash {
		return nullCell
	}
	return func(dst, value []byte) ([]byte, bool) {
		raw := value
		if !bin {
			var err error
			if raw, err = readHexBytea(value); err != nil {
				return dst, true
			}
		}
		sum := m.sum(raw)
		if bin {
			return append(dst, sum[:hashBytes]...), false
		}
		return hex.AppendEncode(append(dst, '\\', 'x'), sum[:hashBytes]), false
	}
}

func readHexBytea(value []byte) ([]byte, error) {
	if len(value) < 2 || value[0] != '\\' || value[1] != 'x' {
		return nil, hex.InvalidByteError(0)
	}
	return hex.AppendDecode(nil, value[2:])
}

// jsonbVersion is the first byte of a jsonb in binary format.
const jsonbVersion = 1

// jsonCell replaces a whole document by one JSON string, or by NULL where the
// spec makes no text.
func (m *Masker) jsonCell(s Spec, versioned bool) Cell {
	return func(dst, value []byte) ([]byte, bool) {
		if versioned {
			if len(value) == 0 || value[0] != jsonbVersion {
				return dst, true
			}
			value = value[1:]
		}
		spec := s
		if spec.With != Hash {
			spec.With = Redact // parts of a document's text would not be JSON
		}
		kept := len(dst)
		if versioned {
			dst = append(dst, jsonbVersion)
		}
		out, null := m.text(spec, append(dst, '"'), value) // neither word nor digest needs quoting
		if null {
			return dst[:kept], true
		}
		return append(out, '"'), false
	}
}
