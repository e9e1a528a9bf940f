package weir.lib_test

import data.weir.lib

test_phase if {
	lib.connects with input.phase as "connect"
	not lib.connects with input.phase as "operation"
	lib.operates with input.phase as "operation"
}

test_kind if {
	lib.is_agent with input.principal.kind as "agent"
	lib.is_agent with input.principal.kind as "anything"
	lib.is_agent with input as {}
	not lib.is_agent with input.principal.kind as "human"
	not lib.is_agent with input.principal.kind as "service"
	lib.is_human with input.principal.kind as "human"
	lib.is_service with input.principal.kind as "service"
}

test_roles if {
	lib.has_role("role:reader") with input.principal.roles as ["role:reader"]
	not lib.has_role("reader") with input.principal.roles as ["role:reader"]
	lib.in_group("dba") with input.principal.roles as ["group:dba"]
	not lib.in_group("dba") with input.principal.roles as ["role:dba"]
	not lib.in_group("dba") with input as {}
}

test_delegation if {
	lib.is_delegated with input.principal.on_behalf_of as [{"subject": "ada"}]
	not lib.is_delegated with input.principal.on_behalf_of as []
	lib.acts_for("ada") with input.principal.on_behalf_of as [{"subject": "bob"}, {"subject": "ada"}]
	not lib.acts_for("eve") with input.principal.on_behalf_of as [{"subject": "ada"}]
}

test_target if {
	lib.has_label("env", "prod") with input.target.labels as {"env": "prod"}
	not lib.has_label("env", "dev") with input.target.labels as {"env": "prod"}
	lib.is_classified with input.target.name as "a" with data.weir.classification.targets as {"a": true}
	lib.is_classified with input.target.name as "a" with data.weir.classification.targets as {"*": true}
	not lib.is_classified with input.target.name as "a" with data.weir.classification.targets as {"b": true}
}

columns := [
	{"classes": ["pii.ssn"], "use": "output"},
	{"classes": ["pii.email"], "use": "filter"},
	{"classes": ["hr.salary", "hr"], "use": "write"},
	{"classes": ["pci.pan"], "use": "derived"},
]

test_classes if {
	lib.classes_read == {"pii.ssn", "pii.email", "pci.pan"} with input.operation.columns as columns
	lib.classes_written == {"hr.salary", "hr"} with input.operation.columns as columns
	lib.classes_returned == {"pii.ssn", "pci.pan"} with input.operation.columns as columns
	lib.reads_class("pii.email") with input.operation.columns as columns
	not lib.reads_class("hr") with input.operation.columns as columns
	lib.writes_class("hr") with input.operation.columns as columns
	not lib.returns_class("pii.email") with input.operation.columns as columns
	lib.returns_class("pci.pan") with input.operation.columns as columns
	lib.has_read("pii.ssn") with input.session.classes_read as ["pii.ssn"]
}

tables := [
	{"schema": "public", "name": "a", "access": "read"},
	{"schema": "public", "name": "b", "access": "write"},
]

test_tables if {
	lib.reads_table("public", "a") with input.operation.tables as tables
	not lib.writes_table("public", "a") with input.operation.tables as tables
	lib.writes_table("public", "b") with input.operation.tables as tables
	not lib.writes_table("other", "b") with input.operation.tables as tables
}

test_operation if {
	lib.has_risk("no_where") with input.operation.risks as ["no_where"]
	not lib.has_risk("no_where") with input.operation.risks as []
	lib.calls("pg_catalog.count") with input.operation.functions as ["pg_catalog.count"]
}

test_approved if {
	votes := [
		{"approve": false, "approver": {"roles": ["group:dba"]}},
		{"approve": true, "approver": {"roles": ["group:lead"]}},
	]
	lib.approved_by("group:lead") with input.approvals as votes
	not lib.approved_by("group:dba") with input.approvals as votes
}

test_hours if {
	noon := 1767268800000000000 # 2026-01-01T12:00:00Z
	lib.between_hours(12, 13, "UTC") with input.now as noon
	not lib.between_hours(9, 12, "UTC") with input.now as noon
	lib.between_hours(13, 14, "Europe/Berlin") with input.now as noon
}
