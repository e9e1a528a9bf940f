package copyout

import "encoding/binary"

// original is what was replaced in a row, as a DataRow message in which all else
// is NULL. There is none where nothing was.
type original struct {
	dst     []byte
	start   int // of the message in dst
	columns int
	have    int // columns so far
}

// add adds the value of a column. Columns come in order.
func (o *original) add(column int, value []byte) {
	if len(o.dst) == o.start {
		o.dst = append(o.dst, 'D', 0, 0, 0, 0)
		o.dst = binary.BigEndian.AppendUint16(o.dst, uint16(o.columns))
	}
	o.pad(column)
	o.dst = binary.BigEndian.AppendUint32(o.dst, uint32(len(value)))
	o.dst = append(o.dst, value...)
	o.have++
}

func (o *original) pad(columns int) {
	for ; o.have < columns; o.have++ {
		o.dst = append(o.dst, 0xff, 0xff, 0xff, 0xff)
	}
}

func (o *original) finish() []byte {
	if len(o.dst) > o.start {
		o.pad(o.columns)
		binary.BigEndian.PutUint32(o.dst[o.start+1:], uint32(len(o.dst)-o.start-1))
	}
	return o.dst
}
