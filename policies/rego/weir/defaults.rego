# METADATA
# title: What is refused unless a rule waives it
# description: |
#   Statements that hide what they do cannot be judged by any other rule. These
#   denials stand beside the user's own; a user's package takes one back with
#     waive contains "opaque" if "group:dba" in input.principal.roles
package weir.rules.defaults

import data.weir.lib
import data.weir.said

# Who has signed in may connect, unless a rule denies it: what is done on the
# connection is judged operation by operation.
allow if {
	lib.connects
	input.principal.subject != ""
	input.principal.auth != ""
}

deny contains denial if {
	"unparsed" in input.operation.risks
	denial := unparsed
	not denial.code in said.waive
}

# Rules judge an operation by its action, so a text of several statements must
# not carry another kind along. Transaction control is harmless company.
deny contains denial if {
	action := input.operation.statements[_].action
	not action in {input.operation.action, "transaction"}
	denial := mixed
	not denial.code in said.waive
}

# Nor does what a statement prepares or declares show in its action.
deny contains denial if {
	input.operation.action in {"prepare", "execute", "declare", "fetch"}
	some table in input.operation.tables
	table.access == "write"
	denial := indirect
	not denial.code in said.waive
}

# What reaches past the data itself is not for agents.
deny contains denial if {
	lib.is_agent
	some risk in input.operation.risks
	denial := for_agents[risk]
	not denial.code in said.waive
}

# Where data is classified, an agent must say plainly what it reads.
deny contains denial if {
	lib.is_agent
	lib.is_classified
	some risk in input.operation.risks
	not risk in unsaid
	denial := where_classified[risk]
	not denial.code in said.waive
}

# What another risk says better is not said again: why a statement is opaque, and what
# runs SQL that is a value. Whoever waives the better word has given all of that away.
unsaid contains "opaque" if {
	risks := {risk | some risk in input.operation.risks}
	not "untraced" in risks
	count(risks & explaining) > 0
}

unsaid contains "untraced" if "opaque" in input.operation.risks

unsaid contains "dynamic_sql" if {
	some risk in ["code_block", "xml_export"]
	risk in input.operation.risks
}

unsaid contains "opaque_function" if "dynamic_sql" in input.operation.risks

# The risks that say why a statement is opaque.
explaining := {
	"activity", "after_change", "code_block", "dynamic_sql", "file_access", "large_object", "opaque_function",
	"page_access", "remote", "replication", "statistics", "unknown_column", "unknown_function", "unknown_relation",
	"unparsed", "xml_export",
}

# Where the server is told who is there, nobody tells it otherwise. This one cannot
# be waived: row-level security of the target relies on it.
deny contains identity_setting if "identity_setting" in input.operation.risks

deny contains denial if {
	"identity_hidden" in input.operation.risks
	denial := identity_hidden
	not denial.code in said.waive
}

# What a client sets as it connects is not a statement that a rule has to allow, so
# it must not give anybody another role.
deny contains denial if {
	lib.connects
	"set_role" in input.session.risks
	denial := role_at_connect
	not denial.code in said.waive
}

# What a connection for replication is given is all that the server has, or changes
# as they are written, past tables and columns. Who may have that is said by name.
deny contains denial if {
	lib.connects
	input.session.replication != ""
	denial := replication_connection
	not denial.code in said.waive
}

deny contains denial if {
	lib.connects
	lib.is_agent
	lib.is_classified
	some risk in input.session.risks
	denial := at_connect[risk]
	not denial.code in said.waive
}

default unparsed := {
	"code": "unparsed",
	"message": "the request could not be analysed",
	"hint": "Send it in a form that the gateway reads: JSON where a body is expected.",
}

unparsed := {
	"code": "unparsed",
	"message": "the statement could not be parsed as PostgreSQL",
	"hint": "Check the syntax, and send one plain PostgreSQL statement.",
} if {
	input.operation.protocol == "postgres"
}

mixed := {
	"code": "mixed_statements",
	"message": "several statements of different kinds in one text",
	"hint": "Send the statements one at a time.",
}

indirect := {
	"code": "indirect_write",
	"message": "a prepared statement or cursor would change rows",
	"hint": "Send the INSERT, UPDATE, DELETE or MERGE itself; parameters of the extended protocol are fine.",
}

identity_setting := {
	"code": "identity_setting",
	"message": "the statement changes a setting by which the server is told who is there, or one that is not known before it runs",
	"hint": "Leave weir.* and application_name as they are, and name the settings that you change.",
}

identity_hidden := {
	"code": "identity_hidden",
	"message": "the statement makes or runs code that could change by which settings the server is told who is there",
	"hint": "Send plain statements; of functions, use the server's own.",
}

role_at_connect := {
	"code": "set_role",
	"message": "the connection's parameters change the role that the session acts as",
	"hint": "Leave role and session_authorization out of them.",
}

replication_connection := {
	"code": "replication_connection",
	"message": "connections for replication are not allowed",
	"hint": "Connect without replication, or ask the operator of the gateway for a rule that waives replication_connection.",
}

# Risk of what a client sets as it connects → denial of an agent, where data is
# classified.
at_connect := {
	"parser_settings": {
		"code": "parser_settings",
		"message": "the connection's parameters change how the server reads text",
		"hint": "Leave standard_conforming_strings and backslash_quote out of them; client_encoding is UTF8.",
	},
	"session_settings": {
		"code": "session_settings",
		"message": "the connection's parameters change a setting that protects or records",
		"hint": "Leave row_security, session_replication_role and the log settings out of them.",
	},
}

# Risk → denial of an agent, everywhere.
for_agents := {
	"file_access": {
		"code": "file_access",
		"message": "the statement reads or writes files of the database server",
		"hint": "Use COPY … FROM STDIN or COPY … TO STDOUT, or plain SELECT and INSERT.",
	},
	"program": {
		"code": "program",
		"message": "the statement runs a program on the database server",
		"hint": "Use COPY … FROM STDIN or COPY … TO STDOUT, or plain SELECT and INSERT.",
	},
	"credentials": {
		"code": "credentials",
		"message": "the statement reads password hashes or connection strings",
		"hint": "Nothing of the kind is needed here: the gateway keeps the credentials.",
	},
	"server_control": {
		"code": "server_control",
		"message": "the statement controls the database server itself or the sessions of others",
		"hint": "Ask the operator of the database.",
	},
	"replication": {
		"code": "replication",
		"message": "the statement reads or changes replication",
		"hint": "Ask the operator of the database.",
	},
	"set_role": {
		"code": "set_role",
		"message": "the statement changes the role that the session acts as",
		"hint": "Work with the role that the gateway signed in with.",
	},
}

# Risk → denial of an agent, where data is classified.
where_classified := {
	"opaque": {
		"code": "opaque",
		"message": "it cannot be traced which columns this statement returns",
		"hint": "Name the columns and select them from their tables directly.",
	},
	"untraced": {
		"code": "untraced",
		"message": "it cannot be traced which columns this statement returns",
		"hint": "Name the columns and select them from their tables directly.",
	},
	"opaque_function": {
		"code": "opaque_function",
		"message": "the statement calls a function of the database's own, of which it is not known what it reads",
		"hint": "Select the columns from their tables directly, or ask the operator of the gateway to declare the function.",
	},
	"triggers": {
		"code": "triggers",
		"message": "the statement writes to a table whose triggers, rules, defaults or checks run code of the database's own, which may copy values",
		"hint": "Ask the operator of the gateway for a rule that waives triggers.",
	},
	"unknown_function": {
		"code": "unknown_function",
		"message": "the statement calls a function that the gateway does not know",
		"hint": "Check the name; select the columns from their tables directly.",
	},
	"unknown_column": {
		"code": "unknown_column",
		"message": "the statement names a column that the gateway does not know",
		"hint": "Check the name, and of which table or alias it is.",
	},
	"unknown_relation": {
		"code": "unknown_relation",
		"message": "the statement names a table or view that the gateway does not know",
		"hint": "Check the name and its schema; a table created just now may need a moment to be known.",
	},
	"dynamic_sql": {
		"code": "dynamic_sql",
		"message": "the statement builds and runs SQL that cannot be seen beforehand",
		"hint": "Send the statement itself in place of a function that runs SQL text.",
	},
	"code_block": {
		"code": "code_block",
		"message": "the statement is a block of code, and what that does cannot be seen beforehand",
		"hint": "Send the statements that are in the DO block one by one.",
	},
	"xml_export": {
		"code": "xml_export",
		"message": "the statement exports tables, queries or cursors as XML, whatever is in them",
		"hint": "Select the columns that you need, and make XML of them with XMLELEMENT or XMLFOREST.",
	},
	"after_change": {
		"code": "after_change",
		"message": "an earlier statement of the same text may change what the later ones mean",
		"hint": "Send the statements one at a time.",
	},
	"value_escape": {
		"code": "value_escape",
		"message": "the statement puts values of columns where they cannot be masked",
		"hint": "Return the values as columns of a SELECT.",
	},
	"statistics": {
		"code": "statistics",
		"message": "the statement reads statistics, which hold values of columns",
		"hint": "Use EXPLAIN, or count and group in a SELECT.",
	},
	"activity": {
		"code": "activity",
		"message": "the statement reads the texts of other statements, which hold values",
		"hint": "Leave out the columns query and statement; the others of pg_stat_activity are fine.",
	},
	"page_access": {
		"code": "page_access",
		"message": "the statement reads pages of tables, indexes or the server's log as they lie on disk",
		"hint": "Select the columns from their tables.",
	},
	"large_object": {
		"code": "large_object",
		"message": "the statement reads or writes large objects, whose content is not classified",
		"hint": "Use the columns of tables.",
	},
	"function_call": {
		"code": "function_call",
		"message": "a function is called by its OID, outside of any statement",
		"hint": "Call the function in a SELECT.",
	},
	"remote": {
		"code": "remote",
		"message": "the statement reaches another server",
		"hint": "Connect to that server through the gateway instead.",
	},
	"foreign_table": {
		"code": "foreign_table",
		"message": "the statement uses a foreign table, whose rows come from another server or a file",
		"hint": "Connect to that server through the gateway, or ask the operator of the gateway for a rule that waives foreign_table.",
	},
	"parser_settings": {
		"code": "parser_settings",
		"message": "the statement changes how the server reads text",
		"hint": "Keep standard_conforming_strings, backslash_quote and client_encoding as they are.",
	},
	"session_settings": {
		"code": "session_settings",
		"message": "the statement changes a setting that protects or records",
		"hint": "Keep row_security, session_replication_role and the log settings as they are.",
	},
}
