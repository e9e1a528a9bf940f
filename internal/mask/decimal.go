package mask

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// numericCell masks numeric. In binary format it goes by the text of the number, so
// that a value has one replacement.
func (b builder) numericCell() Cell {
	var hide func(dst, text []byte) ([]byte, bool)
	m, size := b.m, int64(b.spec.Size)
	switch b.spec.With {
	case Hash:
		hide = func(dst, text []byte) ([]byte, bool) {
			return strconv.AppendInt(dst, m.hashDecimal(text, 63), 10), false
		}
	case Fake:
		hide = func(dst, text []byte) ([]byte, bool) { return m.fakeDecimal(dst, text), false }
	case Range:
		hide = func(dst, text []byte) ([]byte, bool) { return floorDecimal(dst, text, size) }
	default:
		return nil
	}
	if !b.bin {
		return func(dst, value []byte) ([]byte, bool) {
			if !isDecimal(value) { // NaN, Infinity
				return dst, true
			}
			return hide(dst, value)
		}
	}
	var text, masked []byte
	return func(dst, value []byte) ([]byte, bool) {
		var ok, null bool
		if text, ok = appendNumeric(text[:0], value); !ok {
			return dst, true
		}
		if masked, null = hide(masked[:0], text); null {
			return dst, true
		}
		return encodeNumeric(dst, masked)
	}
}

// isDecimal says that a text is digits, with a sign before and a point within them
// where it has them: what the server writes for a finite number.
func isDecimal(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("-"))
	whole, fraction, point := bytes.Cut(text, []byte("."))
	return isDigits(whole) && (!point || isDigits(fraction))
}

func isDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// hashDecimal is a digest of that many bits of a number, however many zeros are
// written at its end.
func (m *Masker) hashDecimal(text []byte, bits int) int64 {
	if bytes.IndexByte(text, '.') >= 0 {
		text = bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte("."))
	}
	sum := m.sumOf(text)
	return int64(binary.BigEndian.Uint64(sum[:8]) & (1<<bits - 1))
}

// fakeDecimal puts other digits in the places of digits: the number has as many of
// them before the point, and behind it.
func (m *Masker) fakeDecimal(dst, text []byte) []byte {
	stream := newKeyStream(m, text)
	for i, c := range text {
		leads := i == 0 || text[i-1] == '-'
		alone := i+1 == len(text) || text[i+1] == '.'
		switch {
		case c < '0' || c > '9', leads && alone && c == '0' && i+1 < len(text): // 0.5
			dst = append(dst, c)
		case leads && c != '0':
			dst = append(dst, '1'+stream.below(9))
		default:
			dst = append(dst, '0'+stream.below(10))
		}
	}
	return dst
}

// floorDecimal is the lower end of the bucket that a number is in.
func floorDecimal(dst, text []byte, size int64) ([]byte, bool) {
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	below := len(whole) > 0 && whole[0] == '-' && len(bytes.Trim(fraction, "0")) > 0 // -0.5 is in the bucket under 0
	if len(whole) <= 18 {
		n, err := strconv.ParseInt(string(whole), 10, 64)
		if err != nil {
			return dst, true
		}
		if below {
			n--
		}
		if floor := floorTo(n, size); floor != math.MinInt64 {
			return strconv.AppendInt(dst, floor, 10), false
		}
	}
	n, ok := new(big.Int).SetString(string(whole), 10)
	if !ok {
		return dst, true
	}
	if below {
		n.Sub(n, big.NewInt(1))
	}
	rest := new(big.Int).Mod(n, big.NewInt(size)) // Euclidean: never negative
	return n.Sub(n, rest).Append(dst, 10), false
}

// floatCell masks float4 and float8, by the shortest text that is the same number.
func (b builder) floatCell(oid uint32) Cell {
	size := 64
	exact := 53 // whole numbers of so many bits are numbers of the type
	if oid == pgtype.Float4OID {
		size, exact = 32, 24
	}
	m, s, bin := b.m, b.spec, b.bin
	switch s.With {
	case Hash, Fake, Range:
	default:
		return nil
	}
	var text, masked []byte
	return func(dst, value []byte) ([]byte, bool) {
		f, ok := readFloat(value, size, bin)
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, true
		}
		switch s.With {
		case Range:
			return appendFloat(dst, math.Floor(f/float64(s.Size))*float64(s.Size), size, bin)
		case Hash:
			text = strconv.AppendFloat(text[:0], f+0, 'f', -1, size)
			return appendFloat(dst, float64(m.hashDecimal(text, exact)), size, bin)
		}
		if abs := math.Abs(f); abs >= 1e15 || abs != 0 && abs < 1e-9 { // digits that are there for the point alone
			return dst, true
		}
		text = strconv.AppendFloat(text[:0], f+0, 'f', -1, size)
		masked = m.fakeDecimal(masked[:0], text)
		f, err := strconv.ParseFloat(string(masked), size)
		if err != nil {
			return dst, true
		}
		return appendFloat(dst, f, size, bin)
	}
}

func readFloat(value []byte, size int, bin bool) (float64, bool) {
	switch {
	case !bin:
		f, err := strconv.ParseFloat(string(value), size)
		return f, err == nil
	case len(value) != size/8:
		return 0, false
	case size == 32:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(value))), true
	default:
		return math.Float64frombits(binary.BigEndian.Uint64(value)), true
	}
}

// appendFloat gives NULL for a number that the type cannot hold.
func appendFloat(dst []byte, f float64, size int, bin bool) ([]byte, bool) {
	switch {
	case math.IsInf(f, 0) || size == 32 && math.Abs(f) > math.MaxFloat32:
		return dst, true
	case !bin:
		return strconv.AppendFloat(dst, f, 'g', -1, size), false
	case size == 32:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(f))), false
	default:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(f)), false
	}
}
