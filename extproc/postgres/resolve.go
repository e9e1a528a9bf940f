package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// maxResolving bounds how far one name may lead to another.
const maxResolving = 4

// resolve finds what a prepared statement or a cursor of the session stands for.
func (s *session) resolve(text []sqlmeta.Statement) (*shape, error) {
	if s.resolving >= maxResolving { // EXECUTE of a statement that is an EXECUTE of itself
		return nil, nil
	}
	s.resolving++
	defer func() { s.resolving-- }()
	p := text[len(text)-1].Prepare
	names := &s.portals
	if p.Kind == sqlmeta.PrepareExecute {
		names = &s.statements
	}
	b, err := s.lookup(names, p.Name)
	if err != nil || b == nil {
		return nil, err
	}
	if p.Kind == sqlmeta.PrepareExecute {
		return s.statementShape(s.ctx, b)
	}
	return b.shape.under(s.deps.Classification()), nil
}

// within is resolve for a text of several statements: a name may have got its
// meaning earlier in the same text. If the server gets so far, it has that meaning.
func (s *session) within(text []sqlmeta.Statement) (*shape, error) {
	last := text[len(text)-1].Prepare
	for i := len(text) - 2; i >= 0; i-- {
		c, err := s.changeOf(&text[i])
		if err != nil {
			return nil, err
		}
		made := sqlmeta.PrepareExecute
		if c != nil && c.of == &s.portals {
			made = sqlmeta.PrepareFetch
		}
		switch {
		case c == nil, made != last.Kind, !c.all && c.name != last.Name:
		case c.to == nil:
			return nil, nil
		case made == sqlmeta.PrepareFetch:
			return c.to.shape.under(s.deps.Classification()), nil
		default:
			return s.statementShape(s.ctx, c.to)
		}
	}
	return s.resolve(text)
}

// delivers is the portal whose rows a text delivers: that of a FETCH, else the one
// that it is bound to.
func (s *session) delivers(sh *shape, portal *bound) *bound {
	if st := sh.analysis.Statements; len(st) == 1 && st[0].Prepare != nil && st[0].Prepare.Kind == sqlmeta.PrepareFetch {
		s.mu.Lock()
		defer s.mu.Unlock()
		cursor, _ := s.portals.find(st[0].Prepare.Name)
		return cursor
	}
	return portal
}

// changesOf is what a text does to the session's names when it runs.
func (s *session) changesOf(sh *shape) ([]change, error) {
	var changes []change
	unsure := false
	for i := range sh.analysis.Statements {
		st := &sh.analysis.Statements[i]
		if st.Action == sqlmeta.ActionDiscard && strings.Contains(strings.ToUpper(st.Text), "ALL") {
			// The unnamed statement stays, as with DEALLOCATE ALL.
			changes = append(changes, change{of: &s.statements, all: true, keep: new(string), at: i}, change{of: &s.portals, all: true, at: i})
		}
		c, err := s.changeOf(st)
		if err != nil {
			return nil, err
		}
		if c != nil {
			if unsure && c.to != nil {
				c.to.unsure = true
				if c.to.shape != nil {
					c.to.shape = c.to.shape.uncertain()
				}
			}
			c.at = i
			changes = append(changes, *c)
		}
		unsure = unsure || changesSettings(st)
	}
	return changes, nil
}

// changeOf is what one statement does to the session's names, nil for nothing.
func (s *session) changeOf(st *sqlmeta.Statement) (*change, error) {
	if st.Prepare == nil || st.Outputs != nil { // EXPLAIN of it does nothing
		return nil, nil
	}
	p := st.Prepare
	switch p.Kind {
	case sqlmeta.PreparePrepare:
		b := &bound{text: st.Text, sql: true}
		_, err := s.statementShape(s.ctx, b) // what it does now is what the server finds
		return &change{of: &s.statements, name: p.Name, to: b}, err
	case sqlmeta.PrepareDeallocate:
		return &change{of: &s.statements, name: p.Name, all: p.Name == "", keep: new(string)}, nil
	case sqlmeta.PrepareClose:
		return &change{of: &s.portals, name: p.Name, all: p.Name == ""}, nil
	case sqlmeta.PrepareDeclare:
		whole, problem := s.analyseWith(s.ctx, st.Text, s.resolve)
		if problem != nil {
			return nil, problem
		}
		inner, err := s.innerShape(whole)
		return &change{of: &s.portals, name: p.Name, to: &bound{text: st.Text, sql: true, shape: inner}}, err
	}
	return nil, nil
}

// statementShape analyses what a prepared statement does now: its tables and the
// search path may have changed since it was prepared.
func (s *session) statementShape(ctx context.Context, b *bound) (*shape, error) {
	text, p := s.analyseWith(ctx, b.text, s.resolve)
	if p != nil {
		return nil, p
	}
	sh := text
	if b.sql { // the text is a PREPARE: what it prepares is what runs
		inner, err := s.innerShape(text)
		if err != nil || inner == nil {
			return nil, err
		}
		sh = inner
	}
	return s.sure(b, sh), nil
}

// maxPaths bounds the search paths of which it is remembered what one statement was found
// to do. With more it is not certain any longer.
const maxPaths = 32

// sure is what a prepared statement does, where that is certain. The server finds what
// its names lead to when it prepares it and when the search path has changed since: a
// relation that is made later, earlier in the path, it does not notice.
func (s *session) sure(b *bound, sh *shape) *shape {
	switch {
	case sh.unsure:
		b.unsure = true
	case !b.unsure:
		path := strings.Join(s.path, "\x00")
		before, known := b.found[path]
		switch {
		case known && slices.Equal(before.tables, sh.sql.Tables) && slices.Equal(before.functions, sh.sql.Functions):
			return sh
		case !known && len(b.found) < maxPaths:
			if b.found == nil {
				b.found = map[string]reach{}
			}
			b.found[path] = reach{sh.sql.Tables, sh.sql.Functions}
			return sh
		}
	}
	if sh.unsure || sh.empty() {
		return sh
	}
	return sh.uncertain()
}

// innerShape is what the only statement of a text prepares or declares.
func (s *session) innerShape(whole *shape) (*shape, error) {
	if len(whole.analysis.Statements) != 1 || whole.analysis.Statements[0].Prepare == nil || whole.analysis.Statements[0].Prepare.Inner == nil {
		return nil, nil
	}
	inner := &sqlmeta.Analysis{Statements: []sqlmeta.Statement{*whole.analysis.Statements[0].Prepare.Inner}}
	sh, err := s.guarded(inner, whole.class, whole.catalog, s.resolve)
	if err != nil || !whole.opaque {
		return sh, err
	}
	return sh.uncertain(), nil
}
