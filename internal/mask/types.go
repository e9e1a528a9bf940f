package mask

import "github.com/jackc/pgx/v5/pgtype"

// Kind says how a type is made of others.
type Kind uint8

// The kinds of types that can be kept. The zero value is none of them.
const (
	Domain       Kind = iota + 1 // Of is the type that it is over
	Array                        // Of is the type of its elements
	Composite                    // Fields are the types of its columns
	RangeOf                      // Of is the type of its bounds
	MultirangeOf                 // Of is the type of the ranges
	Named                        // an extension's, known by Name
)

// Type is a type that is made of others, or an extension's.
type Type struct {
	Kind   Kind
	Of     uint32   // pg_type.oid
	Delim  byte     // of an array: what stands between elements, pg_type.typdelim of the element
	Fields []uint32 // of a composite: pg_attribute.atttypid of its live columns
	Name   string   // pg_type.typname
}

// Types knows the types that are not the server's own. What it says may be old: a
// value that is not of the type that it names becomes NULL.
type Types interface {
	Type(oid uint32) (Type, bool)
}

// moneyOID is pg_type.oid of money, which pgtype does not name.
const moneyOID = 790

// The types that citext and hstore make.
const (
	citext = "citext"
	hstore = "hstore"
)

// arrays are the server's own array types, of types that a mask can keep.
var arrays = map[uint32]uint32{
	pgtype.TextArrayOID: pgtype.TextOID, pgtype.VarcharArrayOID: pgtype.VarcharOID, pgtype.BPCharArrayOID: pgtype.BPCharOID,
	pgtype.NameArrayOID: pgtype.NameOID, pgtype.QCharArrayOID: pgtype.QCharOID,
	pgtype.Int2ArrayOID: pgtype.Int2OID, pgtype.Int4ArrayOID: pgtype.Int4OID, pgtype.Int8ArrayOID: pgtype.Int8OID,
	pgtype.OIDArrayOID: pgtype.OIDOID, pgtype.NumericArrayOID: pgtype.NumericOID,
	pgtype.Float4ArrayOID: pgtype.Float4OID, pgtype.Float8ArrayOID: pgtype.Float8OID, 791: moneyOID,
	pgtype.DateArrayOID: pgtype.DateOID, pgtype.TimestampArrayOID: pgtype.TimestampOID, pgtype.TimestamptzArrayOID: pgtype.TimestamptzOID,
	pgtype.TimeArrayOID: pgtype.TimeOID, pgtype.TimetzArrayOID: pgtype.TimetzOID, pgtype.IntervalArrayOID: pgtype.IntervalOID,
	pgtype.UUIDArrayOID: pgtype.UUIDOID, pgtype.ByteaArrayOID: pgtype.ByteaOID,
	pgtype.BitArrayOID: pgtype.BitOID, pgtype.VarbitArrayOID: pgtype.VarbitOID,
	pgtype.JSONArrayOID: pgtype.JSONOID, pgtype.JSONBArrayOID: pgtype.JSONBOID, pgtype.XMLArrayOID: pgtype.XMLOID,
	pgtype.InetArrayOID: pgtype.InetOID, pgtype.CIDRArrayOID: pgtype.CIDROID,
	1040: pgtype.MacaddrOID, 775: pgtype.Macaddr8OID,
	pgtype.PointArrayOID: pgtype.PointOID, pgtype.LsegArrayOID: pgtype.LsegOID, pgtype.BoxArrayOID: pgtype.BoxOID,
	pgtype.PathArrayOID: pgtype.PathOID, pgtype.PolygonArrayOID: pgtype.PolygonOID, pgtype.CircleArrayOID: pgtype.CircleOID,
	pgtype.Int4rangeArrayOID: pgtype.Int4rangeOID, pgtype.Int8rangeArrayOID: pgtype.Int8rangeOID, pgtype.NumrangeArrayOID: pgtype.NumrangeOID,
	pgtype.DaterangeArrayOID: pgtype.DaterangeOID, pgtype.TsrangeArrayOID: pgtype.TsrangeOID, pgtype.TstzrangeArrayOID: pgtype.TstzrangeOID,
	6150: pgtype.Int4multirangeOID, 6157: pgtype.Int8multirangeOID, 6151: pgtype.NummultirangeOID,
	6155: pgtype.DatemultirangeOID, 6152: pgtype.TsmultirangeOID, 6153: pgtype.TstzmultirangeOID,
}

// ranges are the server's own range types, and multiranges those of several.
var ranges = map[uint32]uint32{
	pgtype.Int4rangeOID: pgtype.Int4OID, pgtype.Int8rangeOID: pgtype.Int8OID, pgtype.NumrangeOID: pgtype.NumericOID,
	pgtype.DaterangeOID: pgtype.DateOID, pgtype.TsrangeOID: pgtype.TimestampOID, pgtype.TstzrangeOID: pgtype.TimestamptzOID,
}

var multiranges = map[uint32]uint32{
	pgtype.Int4multirangeOID: pgtype.Int4rangeOID, pgtype.Int8multirangeOID: pgtype.Int8rangeOID, pgtype.NummultirangeOID: pgtype.NumrangeOID,
	pgtype.DatemultirangeOID: pgtype.DaterangeOID, pgtype.TsmultirangeOID: pgtype.TsrangeOID, pgtype.TstzmultirangeOID: pgtype.TstzrangeOID,
}

// typeOf is what a type is made of.
func typeOf(oid uint32, types Types) (Type, bool) {
	if elem, ok := arrays[oid]; ok {
		delim := byte(',')
		if elem == pgtype.BoxOID {
			delim = ';'
		}
		return Type{Kind: Array, Of: elem, Delim: delim}, true
	}
	if of, ok := ranges[oid]; ok {
		return Type{Kind: RangeOf, Of: of}, true
	}
	if of, ok := multiranges[oid]; ok {
		return Type{Kind: MultirangeOf, Of: of}, true
	}
	if types == nil {
		return Type{}, false
	}
	return types.Type(oid)
}
