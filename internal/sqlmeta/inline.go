package sqlmeta

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// maxInlined bounds how deep functions in SQL may call each other.
const maxInlined = 8

// parameters are those of the function whose body is looked into. It is not told apart
// which argument became which: each may hold any of them.
type parameters struct {
	function string
	names    []string
	value    value
}

// inlined is the rows that a function in SQL returns, from the text of its body, where
// that is one SELECT. What it filters by, calls and risks is the caller's doing, who
// chooses the arguments.
func (r *run) inlined(c Routine, args value) (rowset, bool) {
	query := r.body(c)
	if query == nil || r.inlining >= maxInlined {
		return rowset{}, false
	}
	path, around, params, modifies := r.searchPath, r.aroundPath, r.params, r.modifies
	defer func() { r.searchPath, r.aroundPath, r.params = path, around, params }()
	if c.OwnPath {
		r.aroundPath = c.Path
	}
	r.searchPath = nil
	if !c.Qualified {
		r.searchPath = r.aroundPath
	}
	r.params = &parameters{c.Name, c.Parameters, args}
	r.inlining++
	rows := r.query(query, new(level))
	r.inlining--
	return rows, r.modifies == modifies && !rows.open
}

// body is the parse tree of a function's body, nil where it is not one SELECT that
// means here what it means to the server.
func (r *run) body(c Routine) *pg.Node {
	text := strings.TrimSpace(c.Body)
	switch {
	case text == "":
		return nil
	case c.Qualified: // as pg_get_function_sqlbody writes it
		if inner, ok := strings.CutPrefix(text, "BEGIN ATOMIC"); ok {
			text = strings.TrimSuffix(inner, "END")
		} else if inner, ok := strings.CutPrefix(text, "RETURN "); ok {
			text = "SELECT " + inner
		} else {
			return nil
		}
	case strings.ContainsRune(text, '\\'): // it depends on standard_conforming_strings what that says
		return nil
	}
	n, err := r.a.trees.query(text)
	if err != nil || n.GetSelectStmt() == nil || intoClause(n.GetSelectStmt()) != nil {
		return nil
	}
	return n
}

// parameter is a name in a function's body that no column has: one of its parameters,
// a field of one, or either with the function's name in front.
func (r *run) parameter(names []string) (value, bool) {
	p := r.params
	if p == nil {
		return value{}, false
	}
	if len(names) > 1 && names[0] == p.function && slices.Contains(p.names, names[1]) {
		names = names[1:]
	}
	if len(names) > 2 || !slices.Contains(p.names, names[0]) {
		return value{}, false
	}
	return p.value.derive(), true
}

// defaults are what a function's arguments are where a call leaves them out.
func (r *run) defaults(c Routine) value {
	if c.Defaults == "" {
		return value{}
	}
	n, err := r.a.trees.query("SELECT " + c.Defaults)
	if err != nil {
		return value{opaque: true}
	}
	var v value
	r.inside(func() {
		for _, t := range n.GetSelectStmt().GetTargetList() {
			v = v.join(r.expr(t.GetResTarget().GetVal(), new(level)))
		}
	})
	return v
}

// routine is what a function of the catalog makes of its arguments, and the columns of
// its rows where each is known by itself.
func (r *run) routine(c Routine, args value) (value, []field) {
	args = args.join(r.defaults(c))
	switch {
	case c.Facts != nil:
		return args.join(value{from: r.refs.set(c.Facts.Reads...)}), nil
	case pure(c):
		return args, nil
	}
	rows, ok := r.inlined(c, args)
	if !ok {
		r.obscure(&args, c)
		return args, nil
	}
	columns := rows.columns
	if len(columns) == 1 && columns[0].row != nil {
		columns = columns[0].row
	}
	return args.join(rows.whole()), columns
}
