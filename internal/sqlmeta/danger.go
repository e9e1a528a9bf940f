package sqlmeta

import "strings"

// danger is what is to be said about one of the server's own functions. Every
// other function of pg_catalog depends on its arguments alone.
type danger struct {
	risks  []string
	opaque bool // it can return what no argument holds
	keeps  bool // it puts its arguments where no mask reaches
}

// dangerOf judges a function of pg_catalog by its name.
func dangerOf(name string) (danger, bool) {
	if d, ok := dangers[name]; ok {
		return d, true
	}
	for _, p := range dangerPrefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.danger, true
		}
	}
	return danger{}, false
}

var (
	readsFile   = danger{risks: []string{RiskFileAccess}, opaque: true}
	writesFile  = danger{risks: []string{RiskFileAccess}, opaque: true, keeps: true}
	object      = danger{risks: []string{RiskLargeObject}, opaque: true, keeps: true}
	dynamicSQL  = danger{risks: []string{RiskDynamicSQL, RiskOpaqueFunction}, opaque: true}
	exportsXML  = danger{risks: []string{RiskXMLExport, RiskDynamicSQL, RiskOpaqueFunction}, opaque: true}
	replicates  = danger{risks: []string{RiskReplication}, opaque: true, keeps: true}
	controls    = danger{risks: []string{RiskServerControl}, keeps: true}
	statistics  = danger{risks: []string{RiskStatistics}, opaque: true}
	activity    = danger{risks: []string{RiskActivity}, opaque: true}
	remembers   = danger{keeps: true}
	sleeps      = danger{risks: []string{RiskSleep}}
	showsConfig = danger{risks: []string{RiskFileAccess, RiskCredentials}, opaque: true}
)

var dangerPrefixes = []struct {
	prefix string
	danger danger
}{
	{"pg_read_", readsFile},
	{"pg_ls_", readsFile},
	{"pg_file_", writesFile},
	{"lo_", object},
	{"pg_logical_", replicates},
	{"pg_replication_", replicates},
	{"pg_create_logical_", replicates},
	{"pg_create_physical_", replicates},
	{"pg_copy_logical_", replicates},
	{"pg_copy_physical_", replicates},
	{"pg_stat_reset", controls},
	{"pg_backup_", controls},
	{"pg_wal_replay_", controls},
	{"pg_restore_", controls},
	{"pg_clear_", controls},
	{"binary_upgrade_", controls},
	{"pg_advisory_", remembers},
	{"pg_try_advisory_", remembers},
	{"pg_sleep", sleeps},
	{"query_to_xml", exportsXML},
	{"cursor_to_xml", exportsXML},
	{"table_to_xml", exportsXML},
	{"schema_to_xml", exportsXML},
	{"database_to_xml", exportsXML},
}

var dangers = map[string]danger{
	"pg_stat_file":                   readsFile,
	"pg_current_logfile":             readsFile,
	"pg_logdir_ls":                   readsFile,
	"pg_show_all_file_settings":      readsFile,
	"pg_hba_file_rules":              showsConfig,
	"pg_ident_file_mappings":         showsConfig,
	"lo_import":                      {risks: []string{RiskFileAccess, RiskLargeObject}, opaque: true, keeps: true},
	"lo_export":                      {risks: []string{RiskFileAccess, RiskLargeObject}, opaque: true, keeps: true},
	"loread":                         object,
	"lowrite":                        object,
	"ts_stat":                        dynamicSQL,
	"ts_rewrite":                     dynamicSQL,
	"pg_stat_get_activity":           activity,
	"pg_stat_get_backend_activity":   activity,
	"pg_mcv_list_items":              statistics,
	"pg_get_replication_slots":       {risks: []string{RiskReplication}},
	"pg_drop_replication_slot":       replicates,
	"pg_sync_replication_slots":      replicates,
	"pg_reload_conf":                 controls,
	"pg_rotate_logfile":              controls,
	"pg_rotate_logfile_old":          controls,
	"pg_terminate_backend":           controls,
	"pg_cancel_backend":              controls,
	"pg_promote":                     controls,
	"pg_switch_wal":                  controls,
	"pg_create_restore_point":        controls,
	"pg_log_standby_snapshot":        controls,
	"pg_log_backend_memory_contexts": controls,
	"pg_import_system_collations":    controls,
	"pg_extension_config_dump":       controls,
	"pg_stop_making_pinned_objects":  controls,
	"pg_nextoid":                     controls,
	"pg_notify":                      {risks: []string{RiskNotify}, keeps: true},
	"set_config":                     remembers, // its setting is judged apart
	"setval":                         remembers,
	"setseed":                        remembers,
}

// extensionRisks is what the functions of an extension do that can return anything;
// those of others are like the user's own.
var extensionRisks = map[string]string{
	"dblink":             RiskRemote,
	"postgres_fdw":       RiskRemote,
	"tablefunc":          RiskDynamicSQL,
	"xml2":               RiskDynamicSQL,
	"adminpack":          RiskFileAccess,
	"pg_stat_statements": RiskActivity,
	"amcheck":            RiskPageAccess,
	"pageinspect":        RiskPageAccess,
	"pg_buffercache":     RiskPageAccess,
	"pg_freespacemap":    RiskPageAccess,
	"pg_logicalinspect":  RiskReplication,
	"pg_surgery":         RiskPageAccess,
	"pg_visibility":      RiskPageAccess,
	"pg_walinspect":      RiskPageAccess,
	"pgrowlocks":         RiskPageAccess,
	"pgstattuple":        RiskPageAccess,
}

// relationRisks is what is to be said about touching a relation.
func relationRisks(rel *Relation) []string {
	switch {
	case rel.Kind == "f":
		return []string{RiskForeignTable}
	case rel.Name == "pg_stat_statements" || rel.Name == "pg_stat_statements_info":
		return []string{RiskActivity}
	case rel.Schema != "pg_catalog":
		return nil
	}
	switch rel.Name {
	case "pg_statistic", "pg_statistic_ext_data", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs":
		return []string{RiskStatistics}
	case "pg_hba_file_rules", "pg_ident_file_mappings":
		return []string{RiskFileAccess, RiskCredentials}
	case "pg_file_settings", "pg_config", "pg_available_wal_summaries":
		return []string{RiskFileAccess}
	case "pg_largeobject":
		return []string{RiskLargeObject}
	}
	return nil
}

// opaqueColumn says that a column of the server's own holds values of other
// columns, or the texts of statements. A risk of the relation or of the column says
// the same.
func opaqueColumn(rel *Relation, name string) bool {
	switch {
	case rel.Name == "pg_stat_statements":
		return name == "query"
	case rel.Schema != "pg_catalog":
		return false
	}
	switch rel.Name {
	case "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs":
		return strings.HasPrefix(name, "most_common_") || strings.Contains(name, "histogram")
	case "pg_statistic":
		return strings.HasPrefix(name, "stavalues") || strings.HasPrefix(name, "stanumbers")
	case "pg_statistic_ext_data":
		return strings.HasPrefix(name, "stxd") && name != "stxdinherit"
	case "pg_largeobject":
		return name == "data"
	}
	return holdsStatements(rel.Name, name)
}

// holdsStatements says that a column of a relation in pg_catalog holds the texts of
// statements, with the values in them.
func holdsStatements(relation, column string) bool {
	switch relation + "." + column {
	case "pg_stat_activity.query", "pg_prepared_statements.statement", "pg_cursors.statement":
		return true
	}
	return false
}

// columnRisks is what is to be said about the use of a column of the server's own.
func columnRisks(c ColumnRef) []string {
	switch {
	case c.Schema != "pg_catalog":
		return nil
	case holdsStatements(c.Table, c.Column):
		return []string{RiskActivity}
	}
	switch c.Table + "." + c.Column {
	case "pg_authid.rolpassword", "pg_shadow.passwd", "pg_user_mapping.umoptions", "pg_user_mappings.umoptions",
		"pg_subscription.subconninfo":
		return []string{RiskCredentials}
	}
	return nil
}
