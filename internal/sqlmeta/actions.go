package sqlmeta

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// The actions. A statement that runs another one inside (EXPLAIN ANALYZE, COPY
// of a query, a data-modifying WITH query) has the gravest of the actions.
const (
	ActionSelect      = "select" // VALUES and TABLE too
	ActionInsert      = "insert"
	ActionUpdate      = "update"
	ActionDelete      = "delete"
	ActionMerge       = "merge"
	ActionTruncate    = "truncate"
	ActionCopy        = "copy"
	ActionCall        = "call"
	ActionDo          = "do"
	ActionExplain     = "explain"
	ActionDDL         = "ddl"
	ActionGrant       = "grant" // REVOKE too
	ActionTransaction = "transaction"
	ActionSet         = "set"
	ActionShow        = "show"
	ActionPrepare     = "prepare"
	ActionExecute     = "execute"
	ActionDeallocate  = "deallocate"
	ActionDeclare     = "declare"
	ActionFetch       = "fetch"
	ActionClose       = "close"
	ActionListen      = "listen" // UNLISTEN too
	ActionNotify      = "notify"
	ActionLock        = "lock"
	ActionDiscard     = "discard"
	ActionMaintain    = "maintain"    // VACUUM, ANALYZE, REINDEX, CLUSTER, REFRESH, CHECKPOINT
	ActionReplication = "replication" // a replication command, of a session; no text has it
	ActionLoad        = "load"
	ActionUnknown     = "unknown"
)

// gravity orders the actions that can stand in one statement.
var gravity = map[string]int{
	ActionSelect: 1, ActionExplain: 1, ActionInsert: 2, ActionUpdate: 3, ActionMerge: 4, ActionDelete: 5,
}

// graver is the graver of two actions; the first where neither is.
func graver(a, b string) string {
	if gravity[b] > gravity[a] {
		return b
	}
	return a
}

// dmlAction is the action of a statement that writes rows, "" for others.
func dmlAction(n *pg.Node) string {
	switch n.GetNode().(type) {
	case *pg.Node_InsertStmt:
		return ActionInsert
	case *pg.Node_UpdateStmt:
		return ActionUpdate
	case *pg.Node_DeleteStmt:
		return ActionDelete
	case *pg.Node_MergeStmt:
		return ActionMerge
	}
	return ""
}
