package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Whoever classifies columns does it by name, and so does whoever masks them; a rename takes
// no value away. So it is remembered what each column was called: the server knows it by the OID of
// its table and its number, which stay.

// Names are what the columns of one database were called, for catalogs of it that follow one
// another. Nothing is known of what was renamed before the first look, nor of a
// table that was dumped and restored: it is another one.
type Names struct {
	mu   sync.Mutex
	last *Snapshot // of which only the names count
}

// rename is a column that has another name than at the look before, or, where now is zero,
// one whose name is gone.
type rename struct{ was, now sqlmeta.ColumnRef }

// remember gives a snapshot what its columns were called before, and says what has changed
// since the one before.
func (n *Names) remember(s *Snapshot) (renames []rename) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last != nil && s != n.last {
		renames = s.follow(n.last)
	}
	n.last = s
	return renames
}

// Former are all other names that columns of this snapshot have had, by the one that they
// have. It must not be changed.
func (s *Snapshot) Former() map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef { return s.former }

// follow takes over what the columns were called in the snapshot before. The revision says
// that too: what is known under it is not the same.
func (s *Snapshot) follow(before *Snapshot) (renames []rename) {
	former := map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef{}
	for _, oid := range slices.Sorted(maps.Keys(before.byOID)) {
		old := before.byOID[oid]
		if oid < firstUsers {
			continue
		}
		now := s.byOID[oid]
		for _, c := range old.Columns {
			was := sqlmeta.ColumnRef{Schema: old.Schema, Table: old.Name, Column: c.Name}
			is, found := nameOf(now, c.Num)
			switch {
			case !found:
				if !s.has(was) {
					renames = append(renames, rename{was: was})
				}
				continue
			case is != was:
				renames = append(renames, rename{was, is})
			}
			names := slices.DeleteFunc(append(slices.Clone(before.former[was]), was), func(r sqlmeta.ColumnRef) bool { return r == is })
			if len(names) > 0 {
				former[is] = names
			}
		}
	}
	if len(former) > 0 {
		s.former = former
		s.revision = revisionWith(s.revision, former)
	}
	return renames
}

func nameOf(r *sqlmeta.Relation, num int16) (sqlmeta.ColumnRef, bool) {
	if r == nil {
		return sqlmeta.ColumnRef{}, false
	}
	i := slices.IndexFunc(r.Columns, func(c sqlmeta.RelationColumn) bool { return c.Num == num })
	if i < 0 {
		return sqlmeta.ColumnRef{}, false
	}
	return sqlmeta.ColumnRef{Schema: r.Schema, Table: r.Name, Column: r.Columns[i].Name}, true
}

func (s *Snapshot) has(ref sqlmeta.ColumnRef) bool {
	r := s.byName[name{ref.Schema, ref.Table}]
	return r != nil && slices.ContainsFunc(r.Columns, func(c sqlmeta.RelationColumn) bool { return c.Name == ref.Column })
}

func revisionWith(revision string, former map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q", revision, former) // in order of the keys
	return hex.EncodeToString(h.Sum(nil)[:16])
}
