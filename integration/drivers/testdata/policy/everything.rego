# Everything is allowed to everybody, and nothing that the library denies stays denied.
package weir.rules.everything

import rego.v1

allow := true

waive contains code if {
	some code in {
		"activity", "after_change", "code_block", "credentials", "dynamic_sql", "file_access", "foreign_table", "indirect_write", "large_object", "mixed_statements",
		"opaque", "opaque_function", "page_access", "parser_settings", "program", "remote", "replication", "server_control",
		"session_settings", "set_role", "statistics", "triggers", "unknown_column", "unknown_function", "unknown_relation", "unparsed", "value_escape", "xml_export",
	}
}
