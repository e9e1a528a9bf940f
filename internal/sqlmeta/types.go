package sqlmeta

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Types of pg_type that are told apart.
const (
	typeName        = 19
	typeInt8        = 20
	typeInt2        = 21
	typeInt4        = 23
	typeText        = 25
	typeFloat4      = 700
	typeFloat8      = 701
	typeBPChar      = 1042
	typeVarchar     = 1043
	typeDate        = 1082
	typeTimestamp   = 1114
	typeTimestampTZ = 1184
	typeNumeric     = 1700
)

//go:embed types.txt
var typeList string

// nativeTypes is the OIDs of the server's own types (see types.sql), and under
// "name[]" those of their array types.
var nativeTypes = sync.OnceValue(func() map[string]uint32 {
	out := map[string]uint32{}
	for line := range strings.Lines(typeList) {
		f := strings.Fields(line)
		oid, err := strconv.ParseUint(f[1], 10, 32)
		array, err2 := strconv.ParseUint(f[2], 10, 32)
		if err == nil && err2 == nil {
			out[f[0]], out[f[0]+"[]"] = uint32(oid), uint32(array)
		}
	}
	return out
})

// typeModifier is the modifier of varchar(n), numeric(p, s) and the like, as the
// server keeps it; -1 for none, and false for one that is not computed here.
func typeModifier(typ uint32, mods []*pg.Node) (int32, bool) {
	if len(mods) == 0 {
		return -1, true
	}
	n := make([]int32, 0, len(mods))
	for _, m := range mods {
		i, ok := m.GetAConst().GetVal().(*pg.A_Const_Ival)
		if !ok {
			return 0, false
		}
		n = append(n, i.Ival.GetIval())
	}
	const header = 4 // VARHDRSZ
	switch {
	case (typ == typeVarchar || typ == typeBPChar) && len(n) == 1:
		return n[0] + header, true
	case typ == typeNumeric && len(n) == 1:
		return n[0]<<16 + header, true
	case typ == typeNumeric && len(n) == 2:
		return (n[0]<<16 | n[1]&0x7ff) + header, true
	case (typ == typeTimestamp || typ == typeTimestampTZ) && len(n) == 1:
		return n[0], true
	}
	return 0, false
}

// constantType is the type of a constant as a column of a result.
func constantType(c *pg.A_Const) uint32 {
	switch c.GetVal().(type) {
	case *pg.A_Const_Ival:
		return typeInt4
	case *pg.A_Const_Sval:
		return typeText
	case nil: // NULL
		return typeText
	}
	return 0
}

// cast is a conversion. One to the type that a column has already is none, and
// the server still shows the column. A cast to a row type gives its fields names.
func (r *run) cast(c *pg.TypeCast, l *level) value {
	arg := r.expr(c.GetArg(), l)
	v := arg.derive()
	t := c.GetTypeName()
	names := texts(t.GetNames())
	if len(names) == 0 || t.GetSetof() {
		v.fails = true
		return v
	}
	schema, name := "", names[len(names)-1]
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	if len(t.GetArrayBounds()) > 0 {
		r.hidden("cast _"+name, &v)
	} else {
		r.hidden("cast "+name, &v)
		r.hidden("cast from "+name, &v)
	}
	if len(t.GetArrayBounds()) > 0 {
		name += "[]"
	} else if rel, ok := r.catalog.Relation(r.searchPath, schema, name); ok && rel.Kind != "S" && rel.Schema != "pg_catalog" {
		v.fails = true
		for _, c := range rel.Columns {
			r.step(1)
			f := v.derive()
			f.typ, f.mod = c.TypeOID, c.TypeMod
			v.row = append(v.row, field{c.Name, f})
		}
		return v
	}
	if v.typ = nativeTypes()[name]; v.typ != 0 {
		mod, ok := typeModifier(v.typ, t.GetTypmods())
		if v.mod = mod; ok && arg.typ == v.typ && arg.mod == mod && arg.opaque == v.opaque {
			return arg
		}
	}
	v.fails = v.fails || castFails(c.GetArg(), arg, v.typ, v.mod)
	return v
}

// commonType is the type that a merged column of these two gets, by the rules of
// the server's select_common_type, where they are known here; 0 otherwise.
func commonType(a, b uint32) uint32 {
	if a == b {
		return a
	}
	if isText(a) && isText(b) { // each goes to each, so the first stays
		return a
	}
	for _, widening := range [][]uint32{
		{typeInt2, typeInt4, typeInt8, typeNumeric, typeFloat4, typeFloat8},
		{typeDate, typeTimestamp, typeTimestampTZ},
	} {
		i, j := position(widening, a), position(widening, b)
		if i >= 0 && j >= 0 {
			return widening[max(i, j)]
		}
	}
	return 0
}

func isText(t uint32) bool {
	return t == typeText || t == typeVarchar || t == typeBPChar || t == typeName
}

func position(list []uint32, t uint32) int {
	for i, x := range list {
		if x == t {
			return i
		}
	}
	return -1
}
