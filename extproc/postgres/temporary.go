package postgres

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// A temporary relation takes the place of every other that has its name: without a
// schema the name leads to it, whatever the search path says. Only its session sees it,
// so the catalog does not have it. The session asks the server which names they are,
// and nothing is believed about what those names lead to.

// temporary are the relations that only one session has.
type temporary struct {
	names  []string
	tables []string // those of them that hold rows of their own: what was written into them
}

// temporaryRelations asks for them, in a form that no client_encoding changes. The client
// may have operators and functions of any name in its search path.
const temporaryRelations = `SELECT pg_catalog.encode(pg_catalog.convert_to(pg_catalog.concat(relkind, relname), 'UTF8'), 'hex') ` +
	`FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() LIMIT 10001`

// maxTemporary bounds the temporary relations, indexes among them, that are known of a
// session. Of one that has more it is not certain where any name leads.
const maxTemporary = 10_000

// readTemporary reads the answer: of each relation its pg_class.relkind and its name.
func readTemporary(values []string) (t temporary, err error) {
	if len(values) > maxTemporary {
		return t, errors.New("too many temporary relations")
	}
	for _, v := range values {
		b, err := hex.DecodeString(v)
		if err != nil || len(b) < 2 {
			return temporary{}, errors.New("no name of a temporary relation")
		}
		name := string(b[1:])
		t.names = append(t.names, name)
		if b[0] == 'r' {
			t.tables = append(t.tables, name)
		}
	}
	return t, nil
}

// holds says that a relation which the catalog does not have is a table of the session's
// own. A view would show what it was made from.
func (t *temporary) holds(u *sqlmeta.TableUse) bool {
	return (u.Schema == "" || u.Schema == "pg_temp" || strings.HasPrefix(u.Schema, "pg_temp_")) && slices.Contains(t.tables, u.Name)
}
