package sqlmeta

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Whether a statement fails tells of the values that it computes from: SELECT
// ssn::int says whether each is a number. What is listed here cannot fail, whatever
// the values; everything else may. An expression of which any part may fail is taken
// as a whole, since one part may decide whether another is computed at all:
// CASE WHEN ssn LIKE '1%' THEN 1 / (id - 1) END.

// manyTerms is the number of columns and constants from which on a text may become
// too long for the server (1 GB), so that putting it together may fail.
const manyTerms = 1 << 10

func mayFail(v value) value {
	v.fails = true
	return v
}

// kind is the type of a value, 0 where it is not known or not one of the server's own.
func (v *value) kind() uint32 {
	t := v.typ
	if t == 0 {
		t = v.made
	}
	if t >= firstOwnOID {
		return 0
	}
	return t
}

// firstOwnOID is the server's FirstNormalObjectId: types of users have it and above.
const firstOwnOID = 16384

const (
	typeBool     = 16
	typeTime     = 1083
	typeUUID     = 2950
	typeInet     = 869
	typeJSONB    = 3802
	typeRegclass = 2205
)

// scalar says that values of a type are single ones, and texts of them can be made.
func scalar(t uint32) bool {
	switch t {
	case typeBool, typeInt2, typeInt4, typeInt8, typeNumeric, typeFloat4, typeFloat8, typeText, typeVarchar, typeBPChar,
		typeName, typeDate, typeTime, typeTimestamp, typeTimestampTZ, typeUUID, typeInet:
		return true
	}
	return false
}

// fixed says that an expression is the same for all rows, and known not to fail
// while they are read: the server reads constants, of whatever type, beforehand.
func fixed(n *pg.Node) bool {
	switch e := n.GetNode().(type) {
	case *pg.Node_AConst, *pg.Node_ParamRef:
		return true
	case *pg.Node_TypeCast:
		inner := e.TypeCast.GetArg()
		_, text := inner.GetAConst().GetVal().(*pg.A_Const_Sval)
		return text || inner.GetParamRef() != nil || inner.GetAConst().GetIsnull()
	case *pg.Node_AArrayExpr:
		return allFixed(e.AArrayExpr.GetElements())
	case *pg.Node_List:
		return allFixed(e.List.GetItems())
	}
	return false
}

func allFixed(nodes []*pg.Node) bool {
	for _, n := range nodes {
		if !fixed(n) {
			return false
		}
	}
	return true
}

// comparison says that an operator compares, or does it with each of several.
func comparison(names []*pg.Node) bool {
	switch n, _ := lastName(names); n {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// comparisonFails says whether comparing two values may fail: where one has to be
// converted first. A numeric may be too large for a float.
func comparisonFails(a, b *pg.Node, left, right value) bool {
	l, r := left.kind(), right.kind()
	switch {
	case floating(l):
		return r == typeNumeric || r == 0 && !fixed(b)
	case floating(r):
		return l == typeNumeric || l == 0 && !fixed(a)
	}
	return (l == 0 || r == 0) && !fixed(a) && !fixed(b)
}

func floating(t uint32) bool { return t == typeFloat4 || t == typeFloat8 }

// listFails is comparisonFails of a value and several, of which only that they are
// fixed is known. One that is fixed and of a type that is written may be a float.
func listFails(a, b *pg.Node, left value) bool {
	return !fixed(a) && !fixed(b) || (left.kind() == typeNumeric || fixed(a)) && written(b) || written(a)
}

// written says that the type of a constant, or of one of several, is written with it.
func written(n *pg.Node) bool {
	items := append(n.GetList().GetItems(), n.GetAArrayExpr().GetElements()...)
	return n.GetTypeCast() != nil || slices.ContainsFunc(items, written)
}

// operatorFails says what an operator may do to the value that it makes.
func operatorFails(v *value, e *pg.A_Expr, left, right value) {
	a, b := e.GetLexpr(), e.GetRexpr()
	fails := true
	v.made = typeBool
	switch e.GetKind() {
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		fails = listFails(a, b, left)
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		fails = !comparison(e.GetName()) || listFails(a, b, left)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		fails = comparisonFails(a, b, left, right)
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		v.made = left.kind()
		fails = comparisonFails(a, b, left, right)
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		fails = !plainPattern(b)
	case pg.A_Expr_Kind_AEXPR_OP:
		fails = plainOperatorFails(v, e, left, right)
	}
	v.fails = v.fails || fails
}

func plainOperatorFails(v *value, e *pg.A_Expr, left, right value) bool {
	a, b := e.GetLexpr(), e.GetRexpr()
	if a == nil { // of one side: minus, which can overflow
		v.made = 0
		return true
	}
	if comparison(e.GetName()) {
		return comparisonFails(a, b, left, right)
	}
	switch n, _ := lastName(e.GetName()); n {
	case "||":
		v.made = typeText
		v.terms = sizeOf(left) + sizeOf(right)
		return !scalar(left.kind()) && !fixed(a) || !scalar(right.kind()) && !fixed(b) || v.terms > manyTerms
	case "->", "#>":
		v.made = typeJSONB
		return left.kind() != typeJSONB || !fixed(b)
	case "->>", "#>>":
		v.made = typeText
		return left.kind() != typeJSONB || !fixed(b)
	case "?", "?|", "?&", "@>", "<@":
		return left.kind() != typeJSONB && right.kind() != typeJSONB || !fixed(a) && !fixed(b)
	}
	v.made = 0
	return true
}

func sizeOf(v value) int32 { return min(max(v.terms, 1), manyTerms+1) }

// plainPattern says that a pattern of LIKE is a constant without a backslash: one at
// its end is an error only for texts that it comes to.
func plainPattern(n *pg.Node) bool {
	if c := n.GetTypeCast(); c != nil {
		n = c.GetArg()
	}
	s, ok := n.GetAConst().GetVal().(*pg.A_Const_Sval)
	return ok && !strings.Contains(s.Sval.GetSval(), `\`)
}

// castFails says whether a value may not be of the type that it is cast to; 0 is one
// that is not the server's own, and a modifier other than -1 a precision.
func castFails(n *pg.Node, v value, to uint32, mod int32) bool {
	from := v.kind()
	switch {
	case to == 0, mod != -1 && !isText(to):
		return true
	case fixed(n):
		_, text := n.GetAConst().GetVal().(*pg.A_Const_Sval)
		return !text && n.GetParamRef() == nil && !n.GetAConst().GetIsnull()
	case to == typeText || to == typeVarchar || to == typeBPChar:
		return from == 0 || v.terms > manyTerms
	case from == to:
		return false
	}
	switch from {
	case typeInt2:
		return to != typeInt4 && to != typeInt8 && to != typeNumeric && to != typeFloat4 && to != typeFloat8
	case typeInt4:
		return to != typeInt8 && to != typeNumeric && to != typeFloat4 && to != typeFloat8
	case typeInt8:
		return to != typeNumeric && to != typeFloat4 && to != typeFloat8
	case typeFloat4:
		return to != typeFloat8
	case typeBool:
		return to != typeInt4
	case typeTimestamp:
		return to != typeDate && to != typeTime
	}
	return true
}

// takes says of which arguments a function cannot fail.
type takes uint8

const (
	anything takes = iota
	// plainly is a first argument of any value, and plain constants behind it: texts
	// that are short, or whole numbers above 0.
	plainly
	// scalars is single values, of which a text is made.
	scalars
	// exactNumbers is integers, and numerics of a precision: too few rows fit into a
	// database for their sum to overflow.
	exactNumbers
)

// safe is one of the server's own functions that cannot fail by the value of what it
// takes, all of that name, and the type of what it makes; 0 is the type of its
// argument, or one that is not told.
type safe struct {
	takes takes
	makes uint32
}

// safeFunctions leaves out whatever is in doubt: ascii fails in some encodings, and
// starts_with for some collations. random is not among them, as whether it was called
// shows in the next number.
var safeFunctions = map[string]safe{
	"upper": {}, "lower": {}, "initcap": {makes: typeText}, "reverse": {makes: typeText},
	"btrim": {makes: typeText}, "ltrim": {makes: typeText}, "rtrim": {makes: typeText},
	"left": {plainly, typeText}, "right": {plainly, typeText},
	"substring": {plainly, 0}, "substr": {plainly, 0},
	"replace": {plainly, typeText}, "translate": {plainly, typeText}, "split_part": {plainly, typeText},
	"length": {makes: typeInt4}, "char_length": {makes: typeInt4}, "character_length": {makes: typeInt4},
	"octet_length": {makes: typeInt4}, "bit_length": {makes: typeInt4},
	"strpos": {makes: typeInt4},
	"md5":    {makes: typeText}, "sha224": {}, "sha256": {}, "sha384": {}, "sha512": {}, "hashtext": {makes: typeInt4},
	"concat": {scalars, typeText}, "concat_ws": {scalars, typeText},
	"to_json": {scalars, 0}, "to_jsonb": {scalars, typeJSONB},
	"jsonb_typeof": {makes: typeText}, "pg_typeof": {}, "pg_column_size": {makes: typeInt4},
	"num_nulls": {makes: typeInt4}, "num_nonnulls": {makes: typeInt4},
	"array_length": {makes: typeInt4}, "array_ndims": {makes: typeInt4}, "array_lower": {makes: typeInt4},
	"array_upper": {makes: typeInt4}, "cardinality": {makes: typeInt4}, "isempty": {makes: typeBool}, "isfinite": {makes: typeBool},
	"host": {makes: typeText}, "family": {makes: typeInt4}, "masklen": {makes: typeInt4},
	"count": {makes: typeInt8}, "min": {}, "max": {}, "any_value": {}, "bool_and": {makes: typeBool}, "bool_or": {makes: typeBool}, "every": {makes: typeBool},
	"sum": {takes: exactNumbers}, "avg": {exactNumbers, typeNumeric},
	"row_number": {makes: typeInt8}, "rank": {makes: typeInt8}, "dense_rank": {makes: typeInt8},
	"percent_rank": {makes: typeFloat8}, "cume_dist": {makes: typeFloat8}, "first_value": {}, "last_value": {}, "lag": {plainly, 0}, "lead": {plainly, 0},
	"now": {makes: typeTimestampTZ}, "clock_timestamp": {makes: typeTimestampTZ}, "gen_random_uuid": {makes: typeUUID},
	"unnest": {},
}

// failing says what one of the server's own functions may do to the value that it
// makes of these arguments.
func failing(v *value, name string, f *pg.FuncCall, args []value) {
	s, ok := safeFunctions[name]
	v.made = s.makes
	if !ok {
		v.fails, v.terms = true, manyTerms
		return
	}
	if s.makes == 0 && len(args) > 0 {
		v.made = args[0].kind()
	}
	if (name == "upper" || name == "lower") && !isText(v.made) { // of a range
		v.made = 0
	}
	switch s.takes {
	case plainly:
		for _, n := range f.GetArgs()[min(1, len(f.GetArgs())):] {
			_, text := n.GetAConst().GetVal().(*pg.A_Const_Sval)
			v.fails = v.fails || !plainArgument(n) || text && s.makes == 0 // a pattern
		}
		if name == "replace" {
			v.terms = min(sizeOf(*v)*growth(f.GetArgs()), manyTerms+1)
			v.fails = v.fails || v.terms > manyTerms
		}
	case scalars:
		v.terms = 0
		for i, a := range args {
			v.fails = v.fails || !scalar(a.kind()) && (i >= len(f.GetArgs()) || !fixed(f.GetArgs()[i]))
			v.terms = min(v.terms+sizeOf(a), manyTerms+1)
		}
		v.fails = v.fails || v.terms > manyTerms || f.GetFuncVariadic()
	case exactNumbers:
		v.fails = v.fails || len(args) != 1 || !exact(&args[0])
		if name == "sum" && len(args) == 1 {
			v.made = typeNumeric
			if k := args[0].kind(); k == typeInt2 || k == typeInt4 {
				v.made = typeInt8
			}
		}
	case anything:
	}
}

// together is what two values of these types come to where one of several is
// taken; 0 where converting may fail, or it is not known.
func together(a, b uint32) uint32 {
	t := commonType(a, b)
	if t == typeDate || t == typeTimestamp || t == typeTimestampTZ || floating(t) && (a == typeNumeric || b == typeNumeric) {
		if a != b {
			return 0
		}
	}
	return t
}

func exact(v *value) bool {
	switch v.kind() {
	case typeInt2, typeInt4, typeInt8:
		return true
	case typeNumeric:
		return v.typ == typeNumeric && v.mod > 0
	}
	return false
}

// growth is by how much a text can grow where one plain text is replaced by another.
func growth(args []*pg.Node) int32 {
	if len(args) != 3 {
		return manyTerms
	}
	from, to := args[1].GetAConst().GetSval().GetSval(), args[2].GetAConst().GetSval().GetSval()
	return int32(min(len(to)/max(len(from), 1)+1, longestPlain+1)) //nolint:gosec // small
}

// longestPlain bounds a text that is a plain argument, in bytes.
const longestPlain = 64

func plainArgument(n *pg.Node) bool {
	switch c := n.GetAConst().GetVal().(type) {
	case *pg.A_Const_Sval:
		return len(c.Sval.GetSval()) <= longestPlain
	case *pg.A_Const_Ival:
		return c.Ival.GetIval() > 0
	}
	return false
}
