package sqlmeta

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// explain is EXPLAIN. With ANALYZE the statement runs, and its action counts.
func (r *run) explain(e *pg.ExplainStmt, s *Statement) {
	if e.GetQuery().GetExecuteStmt() != nil { // only the session knows of what
		s.Opaque = true
		r.risk(RiskDynamicSQL)
	}
	var inner Statement
	r.explaining = true
	r.statement(e.GetQuery(), &inner)
	r.explaining = false
	s.Action = ActionExplain
	for _, n := range e.GetOptions() {
		if o := n.GetDefElem(); strings.EqualFold(o.GetDefname(), "analyze") && optionOn(o.GetArg()) {
			r.risk(RiskExplainAnalyze)
			s.Action = graver(inner.Action, r.modifies)
		}
	}
	s.Outputs = []Output{{Name: "QUERY PLAN"}}
}

// optionOn is the server's defGetBoolean: an option without a value is on.
func optionOn(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_Integer:
		return v.Integer.GetIval() != 0
	case *pg.Node_Boolean:
		return v.Boolean.GetBoolval()
	case *pg.Node_String_:
		s := strings.ToLower(v.String_.GetSval())
		return s != "false" && s != "off" && s != "0"
	}
	return true
}

// prepared is a statement about a prepared statement or a cursor. What is
// prepared or declared counts as if it ran, but only execute and fetch deliver.
func (r *run) prepared(n *pg.Node, s *Statement) {
	switch q := n.GetNode().(type) {
	case *pg.Node_PrepareStmt:
		s.Action = ActionPrepare
		s.Prepare = &Prepare{Kind: PreparePrepare, Name: q.PrepareStmt.GetName(), Inner: r.inner(q.PrepareStmt.GetQuery())}
	case *pg.Node_DeclareCursorStmt:
		s.Action = ActionDeclare
		s.Prepare = &Prepare{Kind: PrepareDeclare, Name: q.DeclareCursorStmt.GetPortalname(), Inner: r.inner(q.DeclareCursorStmt.GetQuery())}
	case *pg.Node_ExecuteStmt:
		s.Action, s.Opaque = ActionExecute, true
		s.Prepare = &Prepare{Kind: PrepareExecute, Name: q.ExecuteStmt.GetName()}
		r.use(r.all(q.ExecuteStmt.GetParams(), new(level)), UseDerived)
	case *pg.Node_FetchStmt:
		s.Action, s.Opaque = ActionFetch, !q.FetchStmt.GetIsmove()
		s.Prepare = &Prepare{Kind: PrepareFetch, Name: q.FetchStmt.GetPortalname()}
	case *pg.Node_DeallocateStmt:
		s.Action = ActionDeallocate
		s.Prepare = &Prepare{Kind: PrepareDeallocate, Name: q.DeallocateStmt.GetName()}
	case *pg.Node_ClosePortalStmt:
		s.Action = ActionClose
		s.Prepare = &Prepare{Kind: PrepareClose, Name: q.ClosePortalStmt.GetPortalname()}
	}
}

// inner analyses a statement that stands in another, as a statement of its own.
func (r *run) inner(n *pg.Node) *Statement {
	s := new(Statement)
	r.statement(n, s)
	s.Text, s.Fingerprint = r.text, r.fingerprint
	r.fill(s)
	return s
}
