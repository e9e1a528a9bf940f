package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// json is the SQL/JSON constructors and functions; false for anything else.
func (r *run) json(n *pg.Node, l *level) (value, bool) {
	switch e := n.GetNode().(type) {
	case *pg.Node_JsonObjectConstructor:
		return r.all(e.JsonObjectConstructor.GetExprs(), l), true
	case *pg.Node_JsonArrayConstructor:
		return r.all(e.JsonArrayConstructor.GetExprs(), l), true
	case *pg.Node_JsonArrayQueryConstructor:
		rows := r.query(e.JsonArrayQueryConstructor.GetQuery(), l)
		return rows.whole(), true
	case *pg.Node_JsonKeyValue:
		return r.jsonKeyValue(e.JsonKeyValue, l), true
	case *pg.Node_JsonValueExpr:
		return r.jsonValue(e.JsonValueExpr, l), true
	case *pg.Node_JsonArgument:
		return r.jsonValue(e.JsonArgument.GetVal(), l), true
	case *pg.Node_JsonObjectAgg:
		r.jsonAggregate(e.JsonObjectAgg.GetConstructor(), l)
		return r.jsonKeyValue(e.JsonObjectAgg.GetArg(), l), true
	case *pg.Node_JsonArrayAgg:
		r.jsonAggregate(e.JsonArrayAgg.GetConstructor(), l)
		return r.jsonValue(e.JsonArrayAgg.GetArg(), l), true
	case *pg.Node_JsonIsPredicate:
		return r.expr(e.JsonIsPredicate.GetExpr(), l).derive(), true
	case *pg.Node_JsonParseExpr:
		return r.jsonValue(e.JsonParseExpr.GetExpr(), l), true
	case *pg.Node_JsonScalarExpr:
		return r.expr(e.JsonScalarExpr.GetExpr(), l).derive(), true
	case *pg.Node_JsonSerializeExpr:
		return r.jsonValue(e.JsonSerializeExpr.GetExpr(), l), true
	case *pg.Node_JsonFuncExpr:
		f := e.JsonFuncExpr
		v := r.jsonValue(f.GetContextItem(), l).join(r.expr(f.GetPathspec(), l)).join(r.all(f.GetPassing(), l))
		return v.join(r.jsonBehavior(f.GetOnEmpty(), l)).join(r.jsonBehavior(f.GetOnError(), l)), true
	}
	return value{}, false
}

func (r *run) jsonValue(v *pg.JsonValueExpr, l *level) value {
	return r.expr(v.GetRawExpr(), l).join(r.expr(v.GetFormattedExpr(), l))
}

func (r *run) jsonKeyValue(kv *pg.JsonKeyValue, l *level) value {
	return r.expr(kv.GetKey(), l).join(r.jsonValue(kv.GetValue(), l))
}

func (r *run) jsonBehavior(b *pg.JsonBehavior, l *level) value {
	return r.expr(b.GetExpr(), l).derive()
}

func (r *run) jsonAggregate(c *pg.JsonAggConstructor, l *level) {
	r.use(r.expr(c.GetAggFilter(), l), UseFilter)
	r.orderBy(c.GetAggOrder(), l)
	r.window(c.GetOver(), l)
}
