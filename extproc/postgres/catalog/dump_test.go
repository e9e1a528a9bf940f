package catalog

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// dumped is the catalog that the tests of the analysis read from a file, so that
// they need no server.
type dumped struct {
	Relations []*sqlmeta.Relation
	Routines  []sqlmeta.Routine
	Types     map[uint32]uint32 // row type → relation
}

// dumpedCatalog is the server's own relations that are dumped too.
var dumpedCatalog = []string{
	"pg_class", "pg_namespace", "pg_attribute", "pg_attrdef", "pg_type", "pg_proc", "pg_index", "pg_constraint", "pg_settings", "pg_tables",
	"pg_database", "pg_am", "pg_inherits", "pg_description", "pg_collation", "pg_enum", "pg_range", "pg_policy", "pg_statistic_ext",
	"pg_publication", "pg_publication_rel", "pg_publication_namespace", "pg_trigger", "pg_rewrite", "pg_sequence", "pg_depend", "pg_extension",
	"pg_stats", "pg_statistic", "pg_stat_activity", "pg_authid", "pg_roles", "pg_user", "pg_shadow", "pg_largeobject", "pg_user_mapping",
	"pg_prepared_statements", "pg_cursors", "pg_language", "pg_tablespace", "pg_operator", "pg_cast", "pg_indexes", "pg_views", "pg_matviews", "pg_sequences",
}

func TestDump(t *testing.T) {
	if !*update {
		t.Skip("-update writes the catalog that the analysis' own tests use")
	}
	s := snapshot(t, open(t, serve(t)))
	d := dumped{Types: map[uint32]uint32{}}
	for _, r := range s.byOID {
		if r.Schema == "information_schema" && r.Name != "tables" && r.Name != "columns" {
			continue
		}
		if r.Schema == "pg_catalog" && !slices.Contains(dumpedCatalog, r.Name) {
			continue
		}
		d.Relations = append(d.Relations, r)
	}
	slices.SortFunc(d.Relations, func(a, b *sqlmeta.Relation) int { return int(a.OID) - int(b.OID) })
	for typ, r := range s.byType {
		d.Types[typ] = r.OID
	}
	for _, rs := range s.routines {
		d.Routines = append(d.Routines, rs...)
	}
	slices.SortFunc(d.Routines, func(a, b sqlmeta.Routine) int { return int(a.OID) - int(b.OID) })
	raw, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sqlmetaTests+"catalog.json", append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
