package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// unnamed is what the server calls a column that it finds no name for.
const unnamed = "?column?"

// outputName is the name that the server gives an output without AS, as its
// FigureColname.
func (r *run) outputName(n *pg.Node) string {
	if name, _ := r.figure(n); name != "" {
		return name
	}
	return unnamed
}

// figure also says how good the name is: 2 for one that belongs to the
// expression, 1 for a mere type or CASE, 0 for none.
func (r *run) figure(n *pg.Node) (string, int) {
	r.enter()
	defer r.leave()
	switch e := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return lastName(e.ColumnRef.GetFields())
	case *pg.Node_AIndirection:
		if name, good := lastName(e.AIndirection.GetIndirection()); good > 0 {
			return name, good
		}
		return r.figure(e.AIndirection.GetArg())
	case *pg.Node_FuncCall:
		return lastName(e.FuncCall.GetFuncname())
	case *pg.Node_AExpr:
		if e.AExpr.GetKind() == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	case *pg.Node_TypeCast:
		name, good := r.figure(e.TypeCast.GetArg())
		if good <= 1 {
			if t, ok := lastName(e.TypeCast.GetTypeName().GetNames()); ok > 0 {
				return t, 1
			}
		}
		return name, good
	case *pg.Node_CollateClause:
		return r.figure(e.CollateClause.GetArg())
	case *pg.Node_SubLink:
		return r.figureSubLink(e.SubLink)
	case *pg.Node_CaseExpr:
		if name, good := r.figure(e.CaseExpr.GetDefresult()); good > 1 {
			return name, good
		}
		return "case", 1
	case *pg.Node_MinMaxExpr:
		if e.MinMaxExpr.GetOp() == pg.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	}
	if name := fixedName(n); name != "" {
		return name, 2
	}
	return "", 0
}

// lastName is the last string of a list that may end in subscripts or a star.
func lastName(nodes []*pg.Node) (string, int) {
	for i := len(nodes) - 1; i >= 0; i-- {
		if s := nodes[i].GetString_(); s != nil {
			return s.GetSval(), 2
		}
	}
	return "", 0
}

func (r *run) nameSubLink(s *pg.SubLink, name string) {
	if r.names == nil {
		r.names = map[any]string{}
	}
	r.names[s] = name
}

func (r *run) figureSubLink(s *pg.SubLink) (string, int) {
	switch s.GetSubLinkType() {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array", 2
	case pg.SubLinkType_EXPR_SUBLINK:
		if name, ok := r.names[s]; ok {
			return name, 2
		}
	}
	return "", 0
}

// fixedName is the name of an expression that has its own syntax.
func fixedName(n *pg.Node) string {
	switch e := n.GetNode().(type) {
	case *pg.Node_GroupingFunc:
		return "grouping"
	case *pg.Node_MergeSupportFunc:
		return "merge_action"
	case *pg.Node_AArrayExpr:
		return "array"
	case *pg.Node_RowExpr:
		return "row"
	case *pg.Node_CoalesceExpr:
		return "coalesce"
	case *pg.Node_SqlvalueFunction:
		return sqlValueNames[e.SqlvalueFunction.GetOp()]
	case *pg.Node_XmlExpr:
		return xmlNames[e.XmlExpr.GetOp()]
	case *pg.Node_XmlSerialize:
		return "xmlserialize"
	case *pg.Node_JsonParseExpr:
		return "json"
	case *pg.Node_JsonScalarExpr:
		return "json_scalar"
	case *pg.Node_JsonSerializeExpr:
		return "json_serialize"
	case *pg.Node_JsonObjectConstructor:
		return "json_object"
	case *pg.Node_JsonArrayConstructor, *pg.Node_JsonArrayQueryConstructor:
		return "json_array"
	case *pg.Node_JsonObjectAgg:
		return "json_objectagg"
	case *pg.Node_JsonArrayAgg:
		return "json_arrayagg"
	case *pg.Node_JsonFuncExpr:
		return jsonNames[e.JsonFuncExpr.GetOp()]
	}
	return ""
}

var sqlValueNames = map[pg.SQLValueFunctionOp]string{
	pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE:        "current_date",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME:        "current_time",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N:      "current_time",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP:   "current_timestamp",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp",
	pg.SQLValueFunctionOp_SVFOP_LOCALTIME:           "localtime",
	pg.SQLValueFunctionOp_SVFOP_LOCALTIME_N:         "localtime",
	pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP:      "localtimestamp",
	pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:    "localtimestamp",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE:        "current_role",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_USER:        "current_user",
	pg.SQLValueFunctionOp_SVFOP_USER:                "user",
	pg.SQLValueFunctionOp_SVFOP_SESSION_USER:        "session_user",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG:     "current_catalog",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:      "current_schema",
}

var xmlNames = map[pg.XmlExprOp]string{
	pg.XmlExprOp_IS_XMLCONCAT:    "xmlconcat",
	pg.XmlExprOp_IS_XMLELEMENT:   "xmlelement",
	pg.XmlExprOp_IS_XMLFOREST:    "xmlforest",
	pg.XmlExprOp_IS_XMLPARSE:     "xmlparse",
	pg.XmlExprOp_IS_XMLPI:        "xmlpi",
	pg.XmlExprOp_IS_XMLROOT:      "xmlroot",
	pg.XmlExprOp_IS_XMLSERIALIZE: "xmlserialize",
}

var jsonNames = map[pg.JsonExprOp]string{
	pg.JsonExprOp_JSON_EXISTS_OP: "json_exists",
	pg.JsonExprOp_JSON_QUERY_OP:  "json_query",
	pg.JsonExprOp_JSON_VALUE_OP:  "json_value",
	pg.JsonExprOp_JSON_TABLE_OP:  "json_table",
}
