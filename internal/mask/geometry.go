package mask

import (
	"encoding/binary"
	"math"

	"github.com/jackc/pgx/v5/pgtype"
)

// shapeCell masks points and what is made of them. A range puts each number at the
// lower end of its bucket; a line would not be one any more.
func (b builder) shapeCell(oid uint32) Cell {
	if b.spec.With != Range {
		return nil
	}
	size := float64(b.spec.Size)
	if !b.bin {
		return func(dst, value []byte) ([]byte, bool) { return floorNumbers(dst, value, size) }
	}
	header, count := 0, -1 // bytes in front of the numbers; -1: any number of points
	switch oid {
	case pgtype.PointOID:
		count = 2
	case pgtype.LsegOID, pgtype.BoxOID:
		count = 4
	case pgtype.CircleOID:
		count = 3
	case pgtype.PathOID: // whether it is closed, how many points
		header = 5
	case pgtype.PolygonOID:
		header = 4
	}
	return func(dst, value []byte) ([]byte, bool) {
		if len(value) < header || (len(value)-header)%8 != 0 || count >= 0 && len(value) != 8*count {
			return dst, true
		}
		if count < 0 && 16*int(binary.BigEndian.Uint32(value[header-4:])) != len(value)-header {
			return dst, true
		}
		dst = append(dst, value[:header]...)
		for rest := value[header:]; len(rest) > 0; rest = rest[8:] {
			f := math.Float64frombits(binary.BigEndian.Uint64(rest))
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return dst, true
			}
			dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(math.Floor(f/size)*size))
		}
		return dst, false
	}
}

// floorNumbers replaces each number in the text of a shape.
func floorNumbers(dst, text []byte, size float64) ([]byte, bool) {
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '(', ')', '[', ']', '<', '>', ',':
			dst = append(dst, c)
			i++
			continue
		}
		end := i
		for end < len(text) && isNumeral(text[end]) {
			end++
		}
		f, ok := readFloat(text[i:end], 64, false)
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, true
		}
		var null bool
		if dst, null = appendFloat(dst, math.Floor(f/size)*size, 64, false); null {
			return dst, true
		}
		i = end
	}
	return dst, false
}

func isNumeral(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e'
}
