package mask

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"
)

// uuidCell keeps a uuid a uuid: hash and fake give a version 8 one (RFC 9562).
func (b builder) uuidCell() Cell {
	if b.spec.With != Hash && b.spec.With != Fake {
		return nil
	}
	m, bin := b.m, b.bin
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

// byteaCell hides bytes: a hash is 16 of them, a fake as many as there were.
func (b builder) byteaCell() Cell {
	if b.spec.With != Hash && b.spec.With != Fake {
		return nil
	}
	m, bin, fake := b.m, b.bin, b.spec.With == Fake
	var raw, masked []byte
	return func(dst, value []byte) ([]byte, bool) {
		plain := value
		if !bin {
			var ok bool
			if raw, ok = decodeBytea(raw[:0], value); !ok {
				return dst, true
			}
			plain = raw
		}
		masked = masked[:0]
		if fake {
			stream := newKeyStream(m, plain)
			for range plain {
				masked = append(masked, stream.next())
			}
		} else {
			sum := m.sum(plain)
			masked = append(masked, sum[:hashBytes]...)
		}
		if bin {
			return append(dst, masked...), false
		}
		return hex.AppendEncode(append(dst, '\\', 'x'), masked), false
	}
}

// decodeBytea reads a bytea as the server writes it with bytea_output hex or escape
// (Binary Data Types).
func decodeBytea(dst, value []byte) ([]byte, bool) {
	if rest, ok := bytes.CutPrefix(value, []byte(`\x`)); ok {
		dst, err := hex.AppendDecode(dst, rest)
		return dst, err == nil
	}
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] != '\\':
			dst = append(dst, value[i])
		case i+1 < len(value) && value[i+1] == '\\':
			dst = append(dst, '\\')
			i++
		case i+3 < len(value) && isOctal(value[i+1:i+4]) && value[i+1] < '4':
			dst = append(dst, (value[i+1]-'0')<<6|(value[i+2]-'0')<<3|(value[i+3]-'0'))
			i += 3
		default:
			return dst, false
		}
	}
	return dst, true
}

func isOctal(digits []byte) bool {
	for _, c := range digits {
		if c < '0' || c > '7' {
			return false
		}
	}
	return true
}

// bitsCell masks bit and varbit: other bits, as many as there were.
func (b builder) bitsCell() Cell {
	if b.spec.With != Hash && b.spec.With != Fake {
		return nil
	}
	m, bin := b.m, b.bin
	var text []byte
	return func(dst, value []byte) ([]byte, bool) {
		text = text[:0]
		if bin {
			if len(value) < 4 {
				return dst, true
			}
			n, bits := int(int32(binary.BigEndian.Uint32(value))), value[4:]
			if n < 0 || len(bits) != n/8+min(n%8, 1) {
				return dst, true
			}
			for i := range n {
				text = append(text, '0'+bits[i/8]>>(7-i%8)&1)
			}
			dst = append(dst, value[:4]...)
		} else {
			if len(bytes.Trim(value, "01")) > 0 {
				return dst, true
			}
			text = append(text, value...)
		}
		stream := newKeyStream(m, text)
		for i := 0; i < len(text); i += 8 {
			next, n := stream.next(), min(8, len(text)-i)
			if bin {
				dst = append(dst, next&(0xff<<(8-n)))
				continue
			}
			for j := range n {
				dst = append(dst, '0'+next>>(7-j)&1)
			}
		}
		return dst, false
	}
}

// jsonbVersion is the first byte of a jsonb in binary format.
const jsonbVersion = 1

const redactedJSON = `"` + Redacted + `"`

// jsonCell replaces a whole document by one JSON string: of it there are no parts
// that would be JSON.
func (b builder) jsonCell(versioned bool) Cell {
	m, hash := b.m, b.spec.With == Hash
	switch b.spec.With {
	case Hash, Partial, Fake:
	default:
		return nil
	}
	return func(dst, value []byte) ([]byte, bool) {
		if versioned {
			if len(value) == 0 || value[0] != jsonbVersion {
				return dst, true
			}
			value = value[1:]
			dst = append(dst, jsonbVersion)
		}
		if !hash {
			return append(dst, redactedJSON...), false
		}
		sum := m.sum(value)
		return append(hex.AppendEncode(append(dst, '"'), sum[:hashBytes]), '"'), false
	}
}

const redactedXML = "<redacted/>"

// xmlCell replaces a whole document by one element.
func (b builder) xmlCell() Cell {
	m, hash := b.m, b.spec.With == Hash
	switch b.spec.With {
	case Hash, Partial, Fake:
	default:
		return nil
	}
	return func(dst, value []byte) ([]byte, bool) {
		if !hash {
			return append(dst, redactedXML...), false
		}
		if bytes.HasPrefix(value, []byte("<?xml ")) { // which is written in one format and not in the other
			if _, rest, ok := bytes.Cut(value, []byte("?>")); ok {
				value = rest
			}
		}
		sum := m.sum(value)
		return append(hex.AppendEncode(append(dst, "<hash>"...), sum[:hashBytes]), "</hash>"...), false
	}
}
