package postgres

import "github.com/weir-gateway/weir/internal/gate"

// bound is what a name of the session stands for: a prepared statement, or a
// portal (a cursor is one too). It is not changed once it has a name, but for
// the parameter types that the server tells.
type bound struct {
	text   string
	types  []uint32         // of the parameters; 0 is not known
	sql    bool             // made by PREPARE or DECLARE, not by a message
	shape  *shape           // of a portal: what was analysed when it was made
	found  map[string]reach // of a statement: where its names were first found to lead, by search path; the client's side only
	unsure bool             // of a statement: it is not certain where its names led when the server prepared it
	params []any            // of a portal

	// rows and bytes of a portal that have been delivered; the server's side only.
	rows, bytes int64
	confirmed   bool   // of a portal: what it was judged under was so when its first piece came; the server's side only
	approval    string // of a portal: under which its rows are delivered; the client's side only
}

// reach is where the names in a statement lead.
type reach struct {
	tables    []gate.Table
	functions []string
}

// names are the prepared statements or the portals of a session.
//
// The client's side runs ahead of the server: it must know what a name will
// stand for when the server gets there. Until the next Sync that is what was
// sent last, because the server carries out nothing behind an error. Beyond
// the Sync it is known only once the server has answered: a Parse that failed
// leaves the old statement under the name. Then the client's side waits.
//
// All of it is guarded by the session's lock.
type names struct {
	confirmed  map[string]*bound
	ahead      map[string]*bound // set since the last Sync; nil is closed
	aheadAll   bool              // all others were closed since the last Sync
	pending    map[string]int    // changes that the server has not answered
	pendingAll int
}

func newNames() names {
	return names{confirmed: map[string]*bound{}, ahead: map[string]*bound{}, pending: map[string]int{}}
}

// change is what an answer of the server confirms about a name.
type change struct {
	of   *names
	name string
	to   *bound  // nil: closed
	all  bool    // every name is closed,
	keep *string // but for this one, nil for none
	at   int     // index of the statement in a simple query, or always
}

// always is the place of a change that a simple query makes however it ends.
const always = -1

// find says what a name stands for. settled is false while that depends on
// answers that are still to come.
func (n *names) find(name string) (b *bound, settled bool) {
	if b, ok := n.ahead[name]; ok {
		return b, true
	}
	if n.aheadAll {
		return nil, true
	}
	if n.pendingAll > 0 || n.pending[name] > 0 {
		return nil, false
	}
	return n.confirmed[name], true
}

// announce notes a change that is on its way to the server.
func (c *change) announce() {
	n := c.of
	if c.all {
		var kept *bound
		if c.keep != nil {
			kept, _ = n.find(*c.keep)
		}
		clear(n.ahead)
		if kept != nil {
			n.ahead[*c.keep] = kept
		}
		n.aheadAll = true
		n.pendingAll++
		return
	}
	n.ahead[c.name] = c.to
	n.pending[c.name]++
}

// resolve notes the server's answer to a change.
func (c *change) resolve(done bool) {
	n := c.of
	if c.all {
		n.pendingAll--
		if done {
			var kept *bound
			if c.keep != nil {
				kept = n.confirmed[*c.keep]
			}
			clear(n.confirmed)
			if kept != nil {
				n.confirmed[*c.keep] = kept
			}
		}
		return
	}
	if n.pending[c.name]--; n.pending[c.name] <= 0 {
		delete(n.pending, c.name)
	}
	switch {
	case !done:
	case c.to == nil:
		delete(n.confirmed, c.name)
	default:
		n.confirmed[c.name] = c.to
	}
}

// synced forgets what was assumed until the Sync.
func (n *names) synced() {
	clear(n.ahead)
	n.aheadAll = false
}

// endTransaction drops the portals that end with the transaction. A cursor may
// have been declared WITH HOLD, and a name that the server has dropped is no
// harm: using it fails there.
func (n *names) endTransaction() {
	cursors := 0
	for name, b := range n.confirmed {
		if !b.sql {
			delete(n.confirmed, name)
		} else {
			cursors++
		}
	}
	if cursors > maxCursors {
		clear(n.confirmed)
	}
}

// maxCursors bounds the cursors that are remembered from one transaction to the
// next. Beyond it they are forgotten, and an unknown cursor counts as opaque.
const maxCursors = 10_000
