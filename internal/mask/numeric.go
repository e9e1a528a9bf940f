package mask

import (
	"bytes"
	"encoding/binary"
)

// A numeric in binary format is base 10000: how many digits there are, the weight of
// the first, the sign, how many decimal digits show behind the point, then the digits
// (numeric_send and numeric_recv in PostgreSQL's utils/adt/numeric.c).
const (
	numericHeader = 8
	numericMinus  = 0x4000
	// maxScale bounds the decimal digits behind the point (NUMERIC_DSCALE_MAX).
	maxScale = 0x3fff
)

// appendNumeric writes the text of a binary numeric, as the server does. Not ok for
// what is no finite number.
func appendNumeric(dst, value []byte) ([]byte, bool) {
	if len(value) < numericHeader {
		return dst, false
	}
	count := int(int16(binary.BigEndian.Uint16(value)))
	weight := int(int16(binary.BigEndian.Uint16(value[2:])))
	sign, scale := binary.BigEndian.Uint16(value[4:]), int(binary.BigEndian.Uint16(value[6:]))
	digits := value[numericHeader:]
	if count < 0 || len(digits) != 2*count || sign != 0 && sign != numericMinus || scale > maxScale {
		return dst, false
	}
	at := func(i int) int { // the digit of weight weight-i
		if i < 0 || i >= count {
			return 0
		}
		return int(binary.BigEndian.Uint16(digits[2*i:]))
	}
	for i := range count {
		if at(i) > 9999 {
			return dst, false
		}
	}
	if sign != 0 {
		dst = append(dst, '-')
	}
	start := len(dst)
	for w := weight; w >= 0; w-- {
		dst = appendFour(dst, at(weight-w))
	}
	zeros := 0
	for start+zeros < len(dst) && dst[start+zeros] == '0' {
		zeros++
	}
	dst = append(dst[:start], dst[start+zeros:]...)
	if len(dst) == start {
		dst = append(dst, '0')
	}
	if scale == 0 {
		return dst, true
	}
	dst = append(dst, '.')
	fraction := len(dst)
	for w := -1; len(dst)-fraction < scale; w-- {
		dst = appendFour(dst, at(weight-w))
	}
	return dst[:fraction+scale], true
}

func appendFour(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/1000), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

// encodeNumeric writes a decimal text as a binary numeric; NULL for one that is too long.
func encodeNumeric(dst, text []byte) ([]byte, bool) {
	sign := uint16(0)
	if len(text) > 0 && text[0] == '-' {
		sign, text = numericMinus, text[1:]
	}
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	groups := (len(whole) + 3) / 4
	if groups > 1<<15 || len(fraction) > maxScale {
		return dst, true
	}
	start := len(dst)
	dst = append(dst, make([]byte, numericHeader)...)
	pad := 4*groups - len(whole) // zeros in front, for whole groups
	for i := range groups {
		n := 0
		for j := 4 * i; j < 4*i+4; j++ {
			n *= 10
			if j >= pad {
				n += int(whole[j-pad] - '0')
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	for i := 0; i < len(fraction); i += 4 {
		n := 0
		for j := i; j < i+4; j++ {
			n *= 10
			if j < len(fraction) {
				n += int(fraction[j] - '0')
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	header := dst[start:]
	binary.BigEndian.PutUint16(header, uint16((len(header)-numericHeader)/2))
	binary.BigEndian.PutUint16(header[2:], uint16(int16(groups-1)))
	binary.BigEndian.PutUint16(header[4:], sign)
	binary.BigEndian.PutUint16(header[6:], uint16(len(fraction)))
	return dst, false
}
