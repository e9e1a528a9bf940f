package mask

import "github.com/jackc/pgx/v5/pgtype"

// Cell makes the mask of a column from its type and its format. types knows those
// that are not the server's own; nil knows none. It fails only for a spec that
// cannot work; a type that cannot be kept gives NULLs.
func (m *Masker) Cell(s Spec, typeOID uint32, binary bool, types Types) (Cell, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.constant {
		return derivedCell(typeOID, binary), nil
	}
	b := builder{m: m, spec: s.known(), bin: binary, types: types}
	if cell := b.cell(typeOID); cell != nil {
		return cell, nil
	}
	return nullCell, nil
}

func nullCell(dst, _ []byte) ([]byte, bool) { return dst, true }

// constantCell gives every value the same replacement.
func constantCell(form []byte) Cell {
	return func(dst, _ []byte) ([]byte, bool) { return append(dst, form...), false }
}

// builder makes the cells of one column: those of what its type is made of too.
type builder struct {
	m     *Masker
	spec  Spec
	bin   bool
	types Types
	depth int // how many types lie around this one
}

// maxDepth bounds how deep types are nested in types. Real ones are at most a few
// deep; a catalog that is not of one moment could name one within itself.
const maxDepth = 8

// inside is the builder for a type that another is made of.
func (b builder) inside() builder {
	b.depth++
	return b
}

// cell makes the mask of a type, nil where every value becomes NULL.
func (b builder) cell(oid uint32) Cell {
	switch {
	case b.depth > maxDepth:
		return nil
	case len(b.spec.Paths) > 0:
		return b.documentCell(oid)
	case b.spec.With == Null:
		return nil
	case b.spec.With == Redact:
		if form, ok := b.redacted(oid); ok {
			return constantCell(form)
		}
		return nil
	}
	if cell, ok := b.scalar(oid); ok {
		return cell
	}
	t, ok := typeOf(oid, b.types)
	if !ok {
		return nil
	}
	switch t.Kind {
	case Domain:
		return b.inside().cell(t.Of)
	case Array:
		return b.array(t)
	case Composite:
		return b.composite(t)
	case RangeOf:
		return b.ranges(t)
	case MultirangeOf:
		return b.multirange(t)
	case Named:
		return b.named(t)
	}
	return nil
}

// scalar makes the mask of a type that is the server's own and not made of others;
// nil where it cannot be kept, and not ok for any other type.
func (b builder) scalar(oid uint32) (Cell, bool) {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.NameOID, pgtype.UnknownOID:
		return b.textCell(), true
	case pgtype.BPCharOID:
		return b.paddedCell(), true
	case pgtype.QCharOID:
		return b.byteCell(), true
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return b.integerCell(integers[oid]), true
	case pgtype.NumericOID:
		return b.numericCell(), true
	case pgtype.Float4OID, pgtype.Float8OID:
		return b.floatCell(oid), true
	case moneyOID:
		return b.moneyCell(), true
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return b.timeCell(oid), true
	case pgtype.TimeOID, pgtype.TimetzOID:
		return b.clockCell(oid == pgtype.TimetzOID), true
	case pgtype.IntervalOID:
		return b.intervalCell(), true
	case pgtype.UUIDOID:
		return b.uuidCell(), true
	case pgtype.ByteaOID:
		return b.byteaCell(), true
	case pgtype.BitOID, pgtype.VarbitOID:
		return b.bitsCell(), true
	case pgtype.JSONOID, pgtype.JSONBOID:
		return b.jsonCell(oid == pgtype.JSONBOID && b.bin), true
	case pgtype.XMLOID:
		return b.xmlCell(), true
	case pgtype.InetOID, pgtype.CIDROID:
		return b.addressCell(oid == pgtype.CIDROID), true
	case pgtype.MacaddrOID, pgtype.Macaddr8OID:
		return b.macCell(oid), true
	case pgtype.PointOID, pgtype.LsegOID, pgtype.BoxOID, pgtype.PathOID, pgtype.PolygonOID, pgtype.CircleOID:
		return b.shapeCell(oid), true
	}
	return nil, false
}

// redacted is what stands for every value of a type, whatever it was: not even how
// many elements an array had shows. Not ok for a type that has no words.
func (b builder) redacted(oid uint32) ([]byte, bool) {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.NameOID, pgtype.UnknownOID, pgtype.BPCharOID:
		return []byte(Redacted), true
	case pgtype.QCharOID:
		return []byte{'*'}, true
	case pgtype.JSONOID:
		return []byte(redactedJSON), true
	case pgtype.JSONBOID:
		if b.bin {
			return append([]byte{jsonbVersion}, redactedJSON...), true
		}
		return []byte(redactedJSON), true
	case pgtype.XMLOID:
		return []byte(redactedXML), true
	}
	t, ok := typeOf(oid, b.types)
	if !ok || b.depth > maxDepth {
		return nil, false
	}
	switch t.Kind {
	case Domain:
		return b.inside().redacted(t.Of)
	case Array:
		return b.redactedArray(t)
	case Composite:
		return b.redactedRow(t)
	case Named:
		return b.redactedNamed(t)
	}
	return nil, false
}
