package mask

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

var integerBytes = map[uint32]int{pgtype.Int2OID: 2, pgtype.Int4OID: 4, pgtype.Int8OID: 8}

// integerCell masks int2, int4 and int8; size is the width in bytes.
func (m *Masker) integerCell(s Spec, size int, bin bool) Cell {
	return func(dst, value []byte) ([]byte, bool) {
		n, ok := readInteger(value, size, bin)
		if !ok {
			return dst, true
		}
		switch s.With {
		case Hash:
			n = m.hashInteger(n, size)
		case Fake:
			n = m.fakeInteger(n, size)
		case Range:
			n = floorTo(n, int64(s.Size))
		default:
			return dst, true
		}
		return appendInteger(dst, n, size, bin)
	}
}

func readInteger(value []byte, size int, bin bool) (int64, bool) {
	if !bin {
		n, err := strconv.ParseInt(string(value), 10, size*8)
		return n, err == nil
	}
	if len(value) != size {
		return 0, false
	}
	switch size {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(value))), true
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value))), true
	default:
		return int64(binary.BigEndian.Uint64(value)), true
	}
}

// appendInteger gives NULL for a number that the type cannot hold.
func appendInteger(dst []byte, n int64, size int, bin bool) ([]byte, bool) {
	limit := int64(math.MaxInt64) >> (64 - 8*size)
	if n > limit || n < -limit-1 {
		return dst, true
	}
	if !bin {
		return strconv.AppendInt(dst, n, 10), false
	}
	switch size {
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n)), false
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(n)), false
	default:
		return binary.BigEndian.AppendUint64(dst, uint64(n)), false
	}
}

// hashInteger spreads the digest over the type's non-negative numbers. The
// digest is taken of the number, not its bytes, so that an int4 and an int8
// column that join still join where the smaller range is enough.
func (m *Masker) hashInteger(n int64, size int) int64 {
	var digits [20]byte // the longest int8 with its sign
	sum := m.sumOf(strconv.AppendInt(digits[:0], n, 10))
	return int64(binary.BigEndian.Uint64(sum[:8]) & (math.MaxUint64 >> (65 - 8*size)))
}

// fakeInteger keeps the sign and the number of digits, as far as the type can.
func (m *Masker) fakeInteger(n int64, size int) int64 {
	digits := strconv.AppendInt(nil, n, 10)
	out, err := strconv.ParseInt(string(m.fake(nil, digits)), 10, size*8)
	if err != nil {
		return m.hashInteger(n, size)
	}
	return out
}

// floorTo is the lower end of the bucket that n is in.
func floorTo(n, size int64) int64 {
	rest := n % size
	if rest < 0 {
		rest += size
	}
	if n < math.MinInt64+rest {
		return math.MinInt64
	}
	return n - rest
}

// decimalCell masks numeric, float4 and float8. Only a range keeps the type.
func (m *Masker) decimalCell(s Spec, typeOID uint32, bin bool) Cell {
	if s.With != Range {
		return nullCell
	}
	format := int16(pgtype.TextFormatCode)
	if bin {
		format = pgtype.BinaryFormatCode
	}
	types := pgtype.NewMap()
	return func(dst, value []byte) ([]byte, bool) {
		var f pgtype.Float8
		if err := types.Scan(typeOID, format, value, &f); err != nil || !f.Valid || math.IsNaN(f.Float64) || math.IsInf(f.Float64, 0) {
			return dst, true
		}
		f.Float64 = math.Floor(f.Float64/float64(s.Size)) * float64(s.Size)
		out, err := types.Encode(typeOID, format, f, dst)
		if err != nil || out == nil {
			return dst, true
		}
		return out, false
	}
}
