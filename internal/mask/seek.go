package mask

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// Seeker hides passages within a value of a PostgreSQL column. It appends the
// value as it is then, or nothing where nothing was found. null says that it had
// to become NULL, because what was found stood where it could not be replaced.
type Seeker func(dst, value []byte, f *Found) (out []byte, null, changed bool)

// noText are the types that hold no text: numbers, times, bits, networks, shapes
// (pg_type.dat), and their arrays.
var noText = func() map[uint32]bool {
	set := map[uint32]bool{}
	for _, oid := range []uint32{
		pgtype.BoolOID, pgtype.ByteaOID, pgtype.QCharOID, pgtype.Int8OID, pgtype.Int2OID, pgtype.Int4OID, pgtype.OIDOID, pgtype.TIDOID,
		pgtype.XIDOID, pgtype.CIDOID, pgtype.PointOID, pgtype.LsegOID, pgtype.PathOID, pgtype.BoxOID, pgtype.PolygonOID, pgtype.LineOID,
		pgtype.CircleOID, pgtype.Float4OID, pgtype.Float8OID, pgtype.MacaddrOID, pgtype.InetOID, pgtype.CIDROID, pgtype.DateOID,
		pgtype.TimeOID, pgtype.TimetzOID, pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.IntervalOID, pgtype.BitOID, pgtype.VarbitOID,
		pgtype.NumericOID, pgtype.UUIDOID, pgtype.Int4rangeOID, pgtype.Int8rangeOID, pgtype.NumrangeOID, pgtype.TsrangeOID,
		pgtype.TstzrangeOID, pgtype.DaterangeOID, pgtype.Int4multirangeOID, pgtype.Int8multirangeOID, pgtype.NummultirangeOID,
		pgtype.TsmultirangeOID, pgtype.TstzmultirangeOID, pgtype.DatemultirangeOID,
		pgtype.BoolArrayOID, pgtype.ByteaArrayOID, pgtype.Int8ArrayOID, pgtype.Int2ArrayOID, pgtype.Int4ArrayOID,
		pgtype.Float4ArrayOID, pgtype.Float8ArrayOID, pgtype.InetArrayOID, pgtype.DateArrayOID, pgtype.TimestampArrayOID,
		pgtype.TimestamptzArrayOID, pgtype.IntervalArrayOID, pgtype.NumericArrayOID, pgtype.UUIDArrayOID,
	} {
		set[oid] = true
	}
	return set
}()

// Seeker makes what looks through a column, by its type and format; nil for a type
// that holds no text. A type that is not known may hold some.
func (p *Passages) Seeker(typeOID uint32, isBinary bool) Seeker {
	switch typeOID {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.UnknownOID, pgtype.XMLOID:
		return p.seekText
	case pgtype.JSONOID, pgtype.JSONBOID:
		if isBinary && typeOID == pgtype.JSONBOID {
			return p.seekJSONB
		}
		return p.seekJSON
	}
	switch {
	case noText[typeOID]:
		return nil
	case isBinary:
		return p.seekBinary
	default: // how a composite or an array is written has no sign that a passage has
		return p.seekText
	}
}

func (p *Passages) seekText(dst, value []byte, f *Found) ([]byte, bool, bool) {
	out, changed := p.Text(dst, value, f)
	return out, false, changed
}

// seekJSON looks into the strings, numbers and names of a document.
func (p *Passages) seekJSON(dst, value []byte, f *Found) ([]byte, bool, bool) {
	if bytes.IndexByte(value, '\\') < 0 && len(p.find(value, f)) == 0 {
		return dst, false, false // as it is written is as it is
	}
	before := f.Counts
	out := bytes.NewBuffer(dst)
	j := JSON{masker: p.masker, passages: p}
	if err := j.CopyWith(out, bytes.NewReader(value), nil, f); err != nil {
		return dst, true, true // it cannot be: the server says that it is JSON
	}
	if f.Counts == before {
		return dst, false, false
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), false, true // which ends a value of a stream
}

// seekJSONB is seekJSON behind the number of the format's version.
func (p *Passages) seekJSONB(dst, value []byte, f *Found) ([]byte, bool, bool) {
	if len(value) == 0 || value[0] != 1 {
		return dst, true, true
	}
	start := len(dst)
	out, null, changed := p.seekJSON(append(dst, 1), value[1:], f)
	if !changed || null {
		return out[:start], null, changed
	}
	return out, false, true
}

// seekBinary is for types that it knows by their looks: an array of texts, or a
// text, as enums and most types of extensions are. In anything else a passage
// cannot be replaced.
func (p *Passages) seekBinary(dst, value []byte, f *Found) ([]byte, bool, bool) {
	if out, changed, ok := p.seekArray(dst, value, f); ok {
		return out, false, changed
	}
	if plain(value) {
		return p.seekText(dst, value, f)
	}
	before := f.Counts
	if _, changed := p.Text(nil, value, f); changed {
		return dst, true, true
	}
	f.Counts = before
	return dst, false, false
}

// plain says whether bytes are a text as a person writes it.
func plain(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return utf8.Valid(value)
}

// arrayHeader is dimensions, flags and the type of the elements (array_send).
const arrayHeader = 4 + 4 + 4

// seekArray looks through the elements of an array. It is not ok for what is none.
func (p *Passages) seekArray(dst, value []byte, f *Found) (out []byte, changed, ok bool) {
	if len(value) < arrayHeader {
		return dst, false, false
	}
	dimensions, flags := binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])
	if dimensions > 6 || flags > 1 || len(value) < arrayHeader+int(dimensions)*8 {
		return dst, false, false
	}
	start, counts := len(dst), f.Counts
	seek := p.Seeker(binary.BigEndian.Uint32(value[8:]), true)
	at := arrayHeader + int(dimensions)*8
	kept := 0 // the value up to here is in dst
	for at < len(value) {
		if len(value)-at < 4 {
			break
		}
		size := int32(binary.BigEndian.Uint32(value[at:]))
		if size < -1 || int(size) > len(value)-at-4 {
			break
		}
		at += 4
		if size <= 0 || seek == nil {
			at += max(0, int(size))
			continue
		}
		element, null, found := seek(nil, value[at:at+int(size)], f)
		if found {
			dst = append(dst, value[kept:at-4]...)
			if null {
				binary.BigEndian.PutUint32(dst[start+4:], 1) // there are NULLs now
				dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			} else {
				dst = binary.BigEndian.AppendUint32(dst, uint32(len(element)))
				dst = append(dst, element...)
			}
			kept = at + int(size)
			changed = true
		}
		at += int(size)
	}
	if at != len(value) {
		f.Counts = counts
		return dst[:start], false, false
	}
	if changed {
		dst = append(dst, value[kept:]...)
	}
	return dst, changed, true
}
