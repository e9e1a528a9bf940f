package weir.rules.starter_test

import data.weir.decision

# An agent's SELECT; the tests change what they are about.
statement := {
	"phase": "operation",
	"principal": {"subject": "agent-1", "kind": "agent", "roles": ["group:agents"], "auth": "oidc"},
	"target": {"name": "orders", "kind": "postgres"},
	"operation": {
		"protocol": "postgres",
		"action": "select",
		"risks": [],
		"statements": [],
		"tables": [],
		"columns": [],
	},
}

does(action, risks, tables) := object.union(statement, {"operation": {
	"action": action,
	"risks": risks,
	"tables": tables,
}})

test_agent_reads if decision.effect == "allow" with input as statement

test_around_statements if {
	every action in ["transaction", "set", "show", "explain", "prepare", "execute"] {
		d := decision with input as does(action, [], [])
		d.effect == "allow"
	}
}

test_nobody_said_so if decision.effect == "deny" with input as does("grant", ["privileges"], [])

test_agent_connects if decision.effect == "allow" with input as object.union(
	object.remove(statement, ["operation"]),
	{"phase": "connect"},
)

test_no_where if {
	some action in ["update", "delete"]
	d := decision with input as does(action, ["no_where"], [])
	d.effect == "deny"
	some denial in d.deny
	denial.code == "no_where"
}

test_with_where if decision.effect == "allow" with input as does("update", [], [])

test_truncate if decision.effect == "deny" with input as does("truncate", ["no_where"], [])

test_ddl_is_held if {
	d := decision with input as does("ddl", ["ddl"], [])
	d.effect == "hold"
	some hold in d.hold
	hold.approvers == ["group:dba"]
}

test_deleting_orders_is_held if decision.effect == "hold" with input as does(
	"delete", [],
	[{"schema": "public", "name": "orders", "access": "write"}],
)

test_deleting_elsewhere if decision.effect == "allow" with input as does(
	"delete", [],
	[{"schema": "public", "name": "drafts", "access": "write"}],
)

test_masked if {
	d := decision with input as statement
	{mask.class | some mask in d.mask} == {"pii.ssn", "pci.pan", "pii.email"}
}

test_privacy_sees if {
	d := decision with input as object.union(statement, {"principal": {"roles": ["group:privacy"]}})
	count(d.mask) == 0
}

test_agent_limits if {
	d := decision with input as statement
	d.limits == {{"max_rows": 10000, "timeout": "1m"}}
}

test_http_read if decision.effect == "allow" with input as request("agent", "GET")

test_http_write_by_agent if decision.effect == "deny" with input as request("agent", "POST")

test_http_write_by_human if decision.effect == "allow" with input as request("human", "POST")

request(kind, method) := {
	"phase": "operation",
	"principal": {"subject": "someone", "kind": kind, "roles": [], "auth": "oidc"},
	"target": {"name": "billing", "kind": "http"},
	"operation": {"protocol": "http", "action": lower(method), "method": method, "risks": []},
}
