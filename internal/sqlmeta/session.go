package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// session is the statements about the session itself; false for others.
func (r *run) session(n *pg.Node, s *Statement) bool {
	switch q := n.GetNode().(type) {
	case *pg.Node_TransactionStmt:
		s.Action = ActionTransaction
		switch q.TransactionStmt.GetKind() {
		case pg.TransactionStmtKind_TRANS_STMT_PREPARE, pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED,
			pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
			r.risk(RiskTwoPhase)
		}
	case *pg.Node_ConstraintsSetStmt:
		s.Action = ActionSet
	case *pg.Node_VariableSetStmt:
		s.Action = ActionSet
		r.set(q.VariableSetStmt)
	case *pg.Node_VariableShowStmt:
		s.Action = ActionShow
		r.outputs(s, show(q.VariableShowStmt.GetName()))
	case *pg.Node_DiscardStmt:
		s.Action = ActionDiscard
		if q.DiscardStmt.GetTarget() == pg.DiscardMode_DISCARD_ALL {
			r.risk(settingRisks("")...)
		}
	case *pg.Node_ListenStmt, *pg.Node_UnlistenStmt:
		s.Action = ActionListen
	case *pg.Node_NotifyStmt:
		s.Action = ActionNotify
		r.risk(RiskNotify)
	case *pg.Node_LockStmt:
		s.Action = ActionLock
		for _, n := range q.LockStmt.GetRelations() {
			r.find(n.GetRangeVar(), Read)
		}
	case *pg.Node_DoStmt:
		s.Action, s.Opaque = ActionDo, true
		r.risk(RiskCodeBlock, RiskDynamicSQL, RiskOpaque)
	case *pg.Node_CallStmt:
		s.Action, s.Opaque = ActionCall, true
		v := r.call(q.CallStmt.GetFunccall(), new(level))
		r.use(v, UseDerived)
		if !v.opaque || v.untold() {
			r.risk(RiskUntraced)
		}
	default:
		return false
	}
	return true
}

// server is the statements about the server, and about tables as such; false
// for others.
func (r *run) server(n *pg.Node, s *Statement) bool {
	switch q := n.GetNode().(type) {
	case *pg.Node_TruncateStmt:
		s.Action = ActionTruncate
		r.risk(RiskNoWhere)
		for _, n := range q.TruncateStmt.GetRelations() {
			r.find(n.GetRangeVar(), Write)
		}
	case *pg.Node_VacuumStmt:
		s.Action = ActionMaintain
		for _, n := range q.VacuumStmt.GetRels() {
			if rv := n.GetVacuumRelation().GetRelation(); rv != nil {
				r.find(rv, Write)
			}
		}
	case *pg.Node_ClusterStmt:
		s.Action = ActionMaintain
		if rv := q.ClusterStmt.GetRelation(); rv != nil {
			r.find(rv, Write)
			r.asksAll(rv, UseOrder) // by an index of columns that are not known
		}
	case *pg.Node_ReindexStmt:
		s.Action = ActionMaintain
		if rv := q.ReindexStmt.GetRelation(); rv != nil {
			r.find(rv, Write)
		}
	case *pg.Node_CheckPointStmt:
		s.Action = ActionMaintain
		r.risk(RiskServerControl)
	case *pg.Node_LoadStmt:
		s.Action = ActionLoad
		r.risk(RiskFileAccess, RiskCode)
	case *pg.Node_AlterSystemStmt:
		s.Action = ActionDDL
		r.risk(RiskDDL, RiskServerControl)
		r.setIn(q.AlterSystemStmt.GetSetstmt())
	case *pg.Node_GrantStmt:
		s.Action = ActionGrant
		r.risk(RiskPrivileges)
		r.objects(n)
	case *pg.Node_GrantRoleStmt, *pg.Node_AlterDefaultPrivilegesStmt, *pg.Node_ReassignOwnedStmt, *pg.Node_DropOwnedStmt:
		s.Action = ActionGrant
		r.risk(RiskPrivileges)
	default:
		return false
	}
	return true
}
