package sqlmeta

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func (r *run) merge(s *pg.MergeStmt, outer *level) rowset {
	r.enter()
	defer r.leave()
	l := outer.child()
	r.withClause(s.GetWithClause(), l)
	it := r.target(s.GetRelation())
	it.byName, it.byColumn = true, true
	source := r.fromItem(s.GetSourceRelation(), l)
	both := slices.Concat([]*item{it}, source)
	l.with(both, func() {
		on := r.expr(s.GetJoinCondition(), l)
		r.use(on, UseFilter)
		for _, n := range s.GetMergeWhenClauses() {
			r.mergeWhen(n.GetMergeWhenClause(), it, source, on, l)
		}
	})
	l.items = slices.Concat(source, []*item{it})
	return r.returning(s.GetReturningList(), it, l)
}

// mergeWhen is one WHEN clause: it sees the source, the target or both, by
// whether there is a row of them.
func (r *run) mergeWhen(w *pg.MergeWhenClause, it *item, source []*item, on value, l *level) {
	seen := slices.Concat([]*item{it}, source)
	switch w.GetMatchKind() {
	case pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE:
		seen = seen[:1]
	case pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_TARGET:
		seen = source
	}
	l.with(seen, func() {
		condition := r.expr(w.GetCondition(), l)
		r.use(condition, UseFilter)
		switch w.GetCommandType() {
		case pg.CmdType_CMD_UPDATE:
			r.setClause(it, w.GetTargetList(), l)
		case pg.CmdType_CMD_INSERT:
			rows := rowset{}
			for _, n := range w.GetValues() {
				rows.columns = append(rows.columns, field{value: r.expr(n, l)})
			}
			names := r.insertedNames(w.GetTargetList(), l)
			if names == nil && len(rows.columns) < len(it.columns) {
				names = namesOf(it.columns[:len(rows.columns)])
			}
			r.assign(it, names, &rows)
			return
		case pg.CmdType_CMD_DELETE:
		default:
			return
		}
		if !r.touches(on, it) && !r.touches(condition, it) {
			r.risk(RiskNoWhere)
		}
	})
}
