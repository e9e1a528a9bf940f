package sqlmeta

// The risks that a statement can carry.
//
//	unparsed            PostgreSQL's grammar refuses the text, or a part of it is of a kind that is not understood here
//	too_complex         the analysis passed a bound (depth, size, columns) and was given up; unparsed is said with it
//	multi_statement     the text holds more than one statement
//	after_change        an earlier statement of the same text may have changed what names mean
//	opaque              the sources of an output cannot be traced
//	untraced            opaque for a reason that no other risk says
//	unknown_relation    a relation that the catalog does not have (temporary ones too)
//	unknown_column      a column that no relation in reach has
//	unknown_function    a function that is neither the server's own nor in the catalog
//	opaque_function     a function (or operator) that can read anything: the user's own, or one of the server's
//	dynamic_sql         SQL that is a value at run time: DO, query_to_xml, ts_stat, crosstab, …
//	code_block          DO; dynamic_sql is said with it
//	xml_export          query_to_xml, table_to_xml and their kin; dynamic_sql is said with it
//	no_where            UPDATE, DELETE or MERGE that no condition on a column restricts; TRUNCATE
//	modifying_cte       a WITH query that writes
//	row_lock            SELECT … FOR UPDATE and the like
//	ddl                 changes the schema
//	privileges          changes roles or what they may do
//	code                creates code that runs later: functions, triggers, rules, event triggers, extensions
//	triggers            writes to a relation whose triggers, rules, defaults or checks run code of users' that is not looked into
//	remote              reaches another server: foreign servers, subscriptions, dblink
//	foreign_table       reads or writes a foreign table: of its rows another server or a file knows what they are
//	copy_out, copy_in   COPY TO, COPY FROM
//	file_access         reads or writes files of the server, COPY to or from one
//	program             COPY to or from a program on the server
//	large_object        reads or writes large objects
//	function_call       a function is called by its OID, in a FunctionCall message and not in a statement
//	statistics          reads what the server gathered about values: pg_stats, pg_statistic, pg_stats_ext
//	activity            reads the texts of statements: pg_stat_activity, pg_stat_statements, pg_cursors, pg_prepared_statements
//	page_access         reads pages of tables, indexes or the log as they lie on disk: pageinspect, pg_walinspect, …
//	credentials         reads password hashes or connection strings: pg_authid, pg_user_mapping, …
//	replication         logical decoding, replication slots and origins
//	server_control      signals sessions, reloads, switches WAL, changes the server's settings
//	set_role            SET ROLE, SET SESSION AUTHORIZATION
//	search_path         changes what unqualified names mean
//	parser_settings     changes how text is read: standard_conforming_strings, client_encoding, backslash_quote
//	session_settings    changes a setting that protects or records: row_security, session_replication_role, log_…
//	value_escape        values of columns go where no mask reaches: set_config, pg_notify, setval, advisory locks, …
//	notify              NOTIFY, pg_notify
//	sleep               pg_sleep and the like
//	explain_analyze     EXPLAIN that runs its statement
//	two_phase           PREPARE TRANSACTION and what ends it
//	internal_error      the analysis itself failed; unparsed is said with it
const (
	RiskUnparsed        = "unparsed"
	RiskTooComplex      = "too_complex"
	RiskMultiStatement  = "multi_statement"
	RiskAfterChange     = "after_change"
	RiskOpaque          = "opaque"
	RiskUntraced        = "untraced"
	RiskUnknownRelation = "unknown_relation"
	RiskUnknownColumn   = "unknown_column"
	RiskUnknownFunction = "unknown_function"
	RiskOpaqueFunction  = "opaque_function"
	RiskDynamicSQL      = "dynamic_sql"
	RiskCodeBlock       = "code_block"
	RiskXMLExport       = "xml_export"
	RiskNoWhere         = "no_where"
	RiskModifyingCTE    = "modifying_cte"
	RiskRowLock         = "row_lock"
	RiskDDL             = "ddl"
	RiskPrivileges      = "privileges"
	RiskCode            = "code"
	RiskTriggers        = "triggers"
	RiskRemote          = "remote"
	RiskForeignTable    = "foreign_table"
	RiskCopyOut         = "copy_out"
	RiskCopyIn          = "copy_in"
	RiskFileAccess      = "file_access"
	RiskProgram         = "program"
	RiskLargeObject     = "large_object"
	RiskFunctionCall    = "function_call" // of a session; no text has it
	RiskStatistics      = "statistics"
	RiskActivity        = "activity"
	RiskPageAccess      = "page_access"
	RiskCredentials     = "credentials"
	RiskReplication     = "replication"
	RiskServerControl   = "server_control"
	RiskSetRole         = "set_role"
	RiskSearchPath      = "search_path"
	RiskParserSettings  = "parser_settings"
	RiskSessionSettings = "session_settings"
	RiskValueEscape     = "value_escape"
	RiskNotify          = "notify"
	RiskSleep           = "sleep"
	RiskExplainAnalyze  = "explain_analyze"
	RiskTwoPhase        = "two_phase"
	RiskInternalError   = "internal_error"
)
