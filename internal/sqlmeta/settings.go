package sqlmeta

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// settingRisks is what changing a setting means. "" is one that is not known
// before it runs: it may be any.
func settingRisks(name string) []string {
	name = strings.ToLower(name)
	switch name {
	case "":
		return []string{RiskSearchPath, RiskSetRole, RiskParserSettings, RiskSessionSettings}
	case "search_path":
		return []string{RiskSearchPath}
	case "role", "session_authorization":
		return []string{RiskSetRole}
	case "standard_conforming_strings", "client_encoding", "names", "backslash_quote", "escape_string_warning":
		return []string{RiskParserSettings}
	case "row_security", "session_replication_role", "allow_system_table_mods", "allow_in_place_tablespaces",
		"default_tablespace", "dynamic_library_path", "event_triggers", "exit_on_error", "ignore_checksum_failure",
		"ignore_system_indexes", "lo_compat_privileges", "local_preload_libraries", "password_encryption",
		"restrict_nonsystem_relation_kind", "session_preload_libraries", "transform_null_equals",
		"zero_damaged_pages", "createrole_self_grant", "check_function_bodies":
		return []string{RiskSessionSettings}
	}
	for _, prefix := range []string{"log_", "debug_", "trace_", "track_", "auto_explain.", "pgaudit.", "weir."} {
		if strings.HasPrefix(name, prefix) {
			return []string{RiskSessionSettings}
		}
	}
	return nil
}

// SettingRisks is what it means that a client begins with a setting. An encoding
// that the statements are in anyway means nothing.
func SettingRisks(name, value string) []string {
	if strings.EqualFold(name, "client_encoding") {
		switch strings.ToLower(strings.NewReplacer("-", "", "_", "", "'", "").Replace(value)) {
		case "utf8", "unicode":
			return nil
		}
	}
	return settingRisks(name)
}

// setting notes that a setting is changed; "" is one that is not known before it
// runs.
func (r *run) setting(name string) {
	r.risk(settingRisks(name)...)
	if name == "" {
		name = AnySetting
	}
	if r.viewing == 0 {
		r.settings[strings.ToLower(name)] = struct{}{}
	}
}

// set is SET and RESET.
func (r *run) set(s *pg.VariableSetStmt) {
	switch s.GetKind() {
	case pg.VariableSetKind_VAR_RESET_ALL:
		r.risk(settingRisks("")...)
	case pg.VariableSetKind_VAR_SET_MULTI: // SET TRANSACTION, SESSION CHARACTERISTICS
	default:
		r.setting(s.GetName())
	}
}

// setIn is SET that stands in another statement, for what comes later: of roles,
// databases, functions, the server.
func (r *run) setIn(s *pg.VariableSetStmt) {
	if s.GetKind() != pg.VariableSetKind_VAR_RESET_ALL {
		r.set(s)
	}
}

// show is SHOW: its column is named as the setting is spelt by the server.
func show(name string) rowset {
	switch strings.ToLower(name) {
	case "all":
		return rowset{columns: []field{{name: "name"}, {name: "setting"}, {name: "description"}}}
	case "datestyle":
		name = "DateStyle"
	case "intervalstyle":
		name = "IntervalStyle"
	case "timezone":
		name = "TimeZone"
	default:
		name = strings.ToLower(name)
	}
	return rowset{columns: []field{{name: name}}}
}

// settingName is the setting that set_config changes; "" where it is not known
// before it runs. It is known too where it is a column of pg_settings that WHERE
// holds to one value, as pg_dump does it. Columns of anything else may be
// expressions, which the server computes again: for WHERE one thing may come of
// that, and another for set_config.
func settingName(f *pg.FuncCall, l *level) string {
	if len(f.GetArgs()) == 0 {
		return ""
	}
	name, ok := bareName(f.GetArgs()[0])
	if !ok {
		return constant(f.GetArgs()[0])
	}
	if len(l.items) != 1 || l.items[0].rel == nil || l.items[0].rel.Schema != "pg_catalog" || l.items[0].rel.Name != "pg_settings" {
		return ""
	}
	c := l.condition.GetAExpr()
	if c.GetKind() != pg.A_Expr_Kind_AEXPR_OP || len(c.GetName()) != 1 || c.GetName()[0].GetString_().GetSval() != "=" {
		return ""
	}
	if column, ok := bareName(c.GetLexpr()); !ok || column != name {
		return ""
	}
	return constant(c.GetRexpr())
}

// constant is the text of a string constant, with or without one cast to text; ""
// for anything else. Of other types something else may come out than went in:
// '1259'::regclass::text is pg_class.
func constant(n *pg.Node) string {
	if c := n.GetTypeCast(); plainText(c.GetTypeName()) {
		n = c.GetArg()
	}
	return n.GetAConst().GetSval().GetSval()
}

// plainText says that a type is text or varchar without a length, of the server
// itself.
func plainText(t *pg.TypeName) bool {
	names := texts(t.GetNames())
	if len(names) == 0 || len(names) > 2 || len(t.GetTypmods())+len(t.GetArrayBounds()) > 0 || t.GetSetof() || t.GetPctType() {
		return false
	}
	last := names[len(names)-1]
	if len(names) == 1 { // or another type of that name, of which set_config takes only what is text too
		return last == "text"
	}
	return names[0] == "pg_catalog" && (last == "text" || last == "varchar")
}
