package postgres

import (
	"context"
	"slices"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What a transaction has done to the catalog nobody else sees before it ends, the gateway's
// own connection neither. So where a transaction may have changed it, by DDL or by code that
// runs in it, the session asks the server, within that transaction: whether anything was
// written there, and if so, what its names lead to now. Where it cannot ask, in a pipeline
// or under another isolation level, nothing is certain that the statements name.

// ownView is what a session's transaction has made of the catalog. It belongs to the client's
// side.
type ownView struct {
	possible bool            // it may have changed it, since it began
	unknown  bool            // it may have since the server was asked
	counts   string          // what the server had counted when this was read: "" for no time
	catalog  sqlmeta.Catalog // as the transaction sees it; nil where it is as everybody sees it
}

// runsCode says that a statement may change the catalog, and whatever else there is,
// without saying so.
func (s *shape) runsCode() bool {
	return s.code || s.beneath || s.settings && s.action != sqlmeta.ActionSet
}

// noteOwn notes what a forwarded statement may have done to the catalog.
func (s *session) noteOwn(sh *shape) {
	if sh.ddl || sh.runsCode() {
		s.own.possible, s.own.unknown = true, true
	}
	if s.own.possible && containsAction(sh, sqlmeta.ActionTransaction) { // or taken back
		s.own.unknown, s.own.counts = true, ""
	}
}

// ownCatalog is the catalog as this session's transaction sees it, where everybody else sees
// the given one. It is not certain where that could not be asked for.
func (s *session) ownCatalog(ctx context.Context, committed sqlmeta.Catalog) (c sqlmeta.Catalog, certain bool, err error) {
	if !s.own.possible {
		return committed, true, nil
	}
	if s.own.unknown {
		if s.segmentOpen.Load() || s.chain.open {
			return committed, false, nil
		}
		if certain, err = s.askOwn(ctx, committed); !certain || err != nil {
			return committed, false, err
		}
		s.own.unknown = false
	}
	if s.own.catalog == nil {
		return committed, true, nil
	}
	return s.own.catalog, true, nil
}

// askOwn asks for it.
func (s *session) askOwn(ctx context.Context, committed sqlmeta.Catalog) (certain bool, err error) {
	if err := s.await(ctx, func() bool { return s.queue.n == 0 }); err != nil {
		return false, err
	}
	s.mu.Lock()
	status, skipping := s.txStatus, s.queue.skipping || s.unsynced
	s.mu.Unlock()
	switch {
	case skipping || status == txFailed:
		return false, nil
	case status == txIdle:
		s.own = ownView{}
		return true, nil
	}
	answer, ok, err := s.askWithin(ctx, false, s.catalog.Written())
	if !ok || err != nil || len(answer) != 1 {
		return false, err
	}
	nothing, certain := s.catalog.WrittenNothing(answer[0])
	switch {
	case !certain:
		return false, nil
	case nothing:
		s.own.counts, s.own.catalog = "", nil
		return true, nil
	case s.own.counts == answer[0]:
		return true, nil
	}
	rows, ok, err := s.readOwn(ctx)
	if !ok || err != nil {
		return false, err
	}
	if s.own.catalog, err = s.catalog.Within(committed, rows); err != nil {
		return false, err
	}
	s.own.counts = answer[0]
	return true, nil
}

// A savepoint stands before what is asked: the client's own settings are as they
// were behind it, and so is the transaction where a question has failed.
const (
	beginOwn  = `SAVEPOINT "weir catalog"`
	backOwn   = `ROLLBACK TO SAVEPOINT "weir catalog"`
	forgetOwn = `RELEASE SAVEPOINT "weir catalog"`
)

func (s *session) readOwn(ctx context.Context) (rows []string, ok bool, err error) {
	texts := append([]string{beginOwn}, s.catalog.Own()...)
	rows, ok, err = s.askWithin(ctx, true, append(texts, backOwn, forgetOwn)...)
	if ok || err != nil {
		return rows, ok, err
	}
	_, _, err = s.askWithin(ctx, false, backOwn, forgetOwn)
	return nil, false, err
}

// askWithin asks the server something in the client's transaction. ok is false where the
// server has failed at it.
func (s *session) askWithin(ctx context.Context, binary bool, texts ...string) (values []string, ok bool, err error) {
	p := &probe{asked: 1}
	s.send(questionsIn(binary, texts...), answer{want: wantProbe, hidden: true, probe: p})
	if err := s.await(ctx, func() bool { return p.done }); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.values, !p.failed, nil
}

// reads says that a text takes values from relations or code, and does not only say some.
func (s *shape) reads() bool {
	taken := func(c string) bool { return c == string(sqlmeta.UseOutput) || c == string(sqlmeta.UseDerived) }
	return s.foreign || s.code || s.unknown && len(s.obscure) > 0 || len(s.flows) > 0 ||
		slices.ContainsFunc(s.analysis.Statements, func(st sqlmeta.Statement) bool {
			return slices.ContainsFunc(st.Columns, func(c sqlmeta.ColumnUse) bool { return taken(string(c.Use)) })
		})
}
