package postgres

import (
	"reflect"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// A change of a relation that a statement names matters seldom: a column is added, a
// partition is attached. So where it is found that one has changed, the statement is
// analysed under the catalog that there is now, and what comes of it is delivered where
// that is the same.
//
// What relations look like now is what the statement has run under: the server holds
// them. Functions, operators and schemas it does not hold: somebody may have changed one back.

// again says that a statement which was judged under an older catalog would be judged
// and masked in the same way under the one that there is. It runs on the server's side,
// while the server holds what the statement uses.
func (s *session) again(op *operation) (bool, error) {
	sh := op.shape
	if sh.named || sh.unsure || sh.text == "" || sh.command != nil {
		return false, nil // what it stands for, the client's side knows
	}
	held, err := s.catalog.Holds(s.ctx, sh.catalog, sqlmeta.Names{Functions: sh.names.Functions})
	if err != nil || !held {
		return false, err
	}
	if err := s.catalog.Refresh(s.ctx); err != nil {
		return false, err
	}
	now, err := s.catalog.Snapshot(s.ctx)
	if err != nil {
		return false, err
	}
	now = sqlmeta.ShadowedAs(now, sh.catalog)
	an, err := s.deps.Analyzer.Analyze(s.ctx, sh.text, now, sh.path)
	if err != nil {
		return false, err
	}
	other, err := s.guarded(an, sh.class, now, func([]sqlmeta.Statement) (*shape, error) { return nil, nil })
	if err != nil || !sh.same(other) {
		return false, err
	}
	return s.catalog.Holds(s.ctx, now, other.names)
}

// same says that policy is told the same of two shapes of one text, and that their rows
// are masked alike.
func (s *shape) same(o *shape) bool {
	facts := func(s *shape) []any {
		return []any{
			s.action, s.fingerprint, s.risks, s.sql.Statements, s.sql.Tables, s.sql.Columns, s.sql.Functions, s.sql.Settings,
			s.results, s.classes, s.flows, s.opaque, s.unfound, s.unknown, s.obscure, s.names, s.derived, s.foreign, s.sought, s.beneath,
			s.code, s.copies, s.ddl, s.settings, s.named, s.unsure,
		}
	}
	return reflect.DeepEqual(facts(s), facts(o))
}
