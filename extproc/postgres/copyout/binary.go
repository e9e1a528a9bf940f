package copyout

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// binaryRows is the binary format: a header, rows, and a row of -1 columns at the
// end.
type binaryRows struct {
	begun bool // the header has been
	over  bool // the last row has been
}

var signature = []byte("PGCOPY\n\xff\r\n\x00")

// binaryHeader is the signature, flags and the length of what follows them.
const binaryHeader = 11 + 4 + 4

// maxExtension bounds what follows the header. No server has written any yet.
const maxExtension = 1 << 16

func (b *binaryRows) next(data []byte) (int, error) {
	switch {
	case b.over:
		return 0, fmt.Errorf("%w: it goes on behind its end", ErrData)
	case !b.begun:
		return headerSize(data)
	case len(data) < 2:
		return 0, nil
	}
	columns := int16(binary.BigEndian.Uint16(data))
	if columns < -1 {
		return 0, fmt.Errorf("%w: a row of %d columns", ErrData, columns)
	}
	at := 2
	for range columns {
		n, ok := cellSize(data, at)
		if n < 0 {
			return 0, fmt.Errorf("%w: a field of %d bytes", ErrData, n)
		}
		if !ok {
			return 0, nil
		}
		at += n
	}
	return at, nil
}

// headerSize is the size of the header, 0 where it is not whole.
func headerSize(data []byte) (int, error) {
	n := min(len(data), len(signature))
	if !bytes.Equal(data[:n], signature[:n]) {
		return 0, fmt.Errorf("%w: it is not in binary format", ErrData)
	}
	if len(data) < binaryHeader {
		return 0, nil
	}
	flags, extension := binary.BigEndian.Uint32(data[11:]), binary.BigEndian.Uint32(data[15:])
	if flags != 0 || extension > maxExtension {
		return 0, fmt.Errorf("%w: flags %#x, %d bytes of header more", ErrData, flags, extension)
	}
	if size := binaryHeader + int(extension); size <= len(data) {
		return size, nil
	}
	return 0, nil
}

// cellSize is the size of a field with its length, below 0 for an impossible one.
// It is not ok where the field is not whole.
func cellSize(data []byte, at int) (n int, ok bool) {
	if len(data)-at < 4 {
		return 0, false
	}
	length := int32(binary.BigEndian.Uint32(data[at:]))
	switch {
	case length < -1:
		return int(length), false
	case length == -1:
		return 4, true
	}
	return 4 + int(length), int(length) <= len(data)-at-4
}

func (b *binaryRows) split(fields []field, row []byte) ([]field, bool, error) {
	if !b.begun {
		b.begun = true
		return fields, true, nil
	}
	columns := int16(binary.BigEndian.Uint16(row))
	if columns == -1 {
		b.over = true
		return fields, true, nil
	}
	at := 2
	for range columns {
		n, _ := cellSize(row, at)
		fields = append(fields, field{at, at + n, n == 4 && row[at] == 0xff})
		at += n
	}
	return fields, false, nil
}

func (b *binaryRows) decode(dst, raw []byte) ([]byte, error) { return append(dst, raw[4:]...), nil }

func (b *binaryRows) encode(dst []byte, _ int, value []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

func (b *binaryRows) null(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

// ended says that the last row has been. A COPY that fails ends without.
func (b *binaryRows) ended() bool { return b.over }
