package mask

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// integer is a type of whole numbers.
type integer struct {
	size     int // in bytes
	min, max int64
}

var (
	int8Type = integer{8, math.MinInt64, math.MaxInt64}
	integers = map[uint32]integer{
		pgtype.Int2OID: {2, math.MinInt16, math.MaxInt16},
		pgtype.Int4OID: {4, math.MinInt32, math.MaxInt32},
		pgtype.Int8OID: int8Type,
		pgtype.OIDOID:  {4, 0, math.MaxUint32},
	}
)

// integerCell masks int2, int4, int8 and oid.
func (b builder) integerCell(t integer) Cell {
	m, s, bin := b.m, b.spec, b.bin
	switch s.With {
	case Hash, Fake, Range:
	default:
		return nil
	}
	return func(dst, value []byte) ([]byte, bool) {
		n, ok := t.read(value, bin)
		if !ok {
			return dst, true
		}
		switch s.With {
		case Hash:
			n = m.hashInteger(n, t)
		case Fake:
			n = m.fakeInteger(n, t)
		default:
			n = floorTo(n, int64(s.Size))
		}
		return t.append(dst, n, bin)
	}
}

func (t integer) read(value []byte, bin bool) (int64, bool) {
	var n int64
	switch {
	case !bin:
		var err error
		if n, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			return 0, false
		}
	case len(value) != t.size:
		return 0, false
	case t.size == 2:
		n = int64(int16(binary.BigEndian.Uint16(value)))
	case t.size == 8:
		n = int64(binary.BigEndian.Uint64(value))
	case t.min == 0:
		n = int64(binary.BigEndian.Uint32(value))
	default:
		n = int64(int32(binary.BigEndian.Uint32(value)))
	}
	return n, n >= t.min && n <= t.max
}

// append gives NULL for a number that the type cannot hold.
func (t integer) append(dst []byte, n int64, bin bool) ([]byte, bool) {
	switch {
	case n > t.max || n < t.min:
		return dst, true
	case !bin:
		return strconv.AppendInt(dst, n, 10), false
	case t.size == 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n)), false
	case t.size == 4:
		return binary.BigEndian.AppendUint32(dst, uint32(n)), false
	default:
		return binary.BigEndian.AppendUint64(dst, uint64(n)), false
	}
}

// hashInteger spreads the digest over the type's non-negative numbers, of oid over
// the lower half of them.
func (m *Masker) hashInteger(n int64, t integer) int64 {
	var digits [20]byte // the longest int8 with its sign
	sum := m.sumOf(strconv.AppendInt(digits[:0], n, 10))
	return int64(binary.BigEndian.Uint64(sum[:8]) & (math.MaxUint64 >> (65 - 8*t.size)))
}

// fakeInteger keeps the sign and the number of digits.
func (m *Masker) fakeInteger(n int64, t integer) int64 {
	var digits [20]byte
	sum := m.sumOf(strconv.AppendInt(digits[:0], n, 10))
	abs, most := uint64(n), uint64(t.max)
	if n < 0 {
		abs, most = -abs, -uint64(t.min)
	}
	low, high := sameDigits(abs)
	high = min(high, most)
	fake := low + binary.BigEndian.Uint64(sum[:8])%(high-low+1)
	if n < 0 {
		return int64(-fake)
	}
	return int64(fake)
}

// sameDigits are the least and the greatest number of as many digits as n, the
// least from 1 where it is not 0 itself that is to be hidden.
func sameDigits(n uint64) (low, high uint64) {
	low = 1
	for n >= 10 {
		n /= 10
		low *= 10
	}
	if low == 1e19 { // the greatest of as many is beyond a uint64
		return low, math.MaxUint64
	}
	if n == 0 {
		return 0, 9
	}
	return low, low*10 - 1
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

// moneyCell masks money: a fake keeps everything but the digits. How many of them
// stand behind the point is for the server's locale to say, so there are no buckets.
func (b builder) moneyCell() Cell {
	if b.spec.With != Fake {
		return nil
	}
	m := b.m
	if b.bin {
		return b.integerCell(int8Type)
	}
	return func(dst, value []byte) ([]byte, bool) {
		n, places := uint64(0), 0
		negative := false
		for _, c := range value {
			switch {
			case c >= '0' && c <= '9':
				if places++; places > 19 {
					return dst, true
				}
				n = n*10 + uint64(c-'0')
			case c == '-' || c == '(':
				negative = true
			}
		}
		if n > math.MaxInt64 {
			return dst, true
		}
		signed := int64(n)
		if negative {
			signed = -signed
		}
		fake := m.fakeInteger(signed, int8Type)
		if negative {
			fake = -fake
		}
		var digits [20]byte
		rest := strconv.AppendInt(digits[:0], fake, 10)
		for _, c := range value {
			if c < '0' || c > '9' {
				dst = append(dst, c)
				continue
			}
			if places > len(rest) {
				dst = append(dst, '0')
			} else {
				dst = append(dst, rest[0])
				rest = rest[1:]
			}
			places--
		}
		return dst, false
	}
}
