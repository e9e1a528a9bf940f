package weir.rules.defaults_test

import data.weir.rules.defaults

codes(given) := {denial.code | some denial in denials(given)}

denials(given) := d if {
	d := defaults.deny with input as given
		with data.weir.classification.targets as {"orders": true}
}

statement(kind, target, risks) := {
	"phase": "operation",
	"principal": {"subject": "x", "kind": kind, "auth": "oidc"},
	"target": {"name": target},
	"operation": {"protocol": "postgres", "action": "select", "risks": risks, "statements": [{"action": "select"}]},
}

test_plain if codes(statement("agent", "orders", [])) == set()

test_unparsed_for_everybody if {
	every kind in ["agent", "service", "human"] {
		codes(statement(kind, "elsewhere", ["unparsed"])) == {"unparsed"}
	}
}

test_unparsed_http if {
	d := defaults.deny with input as {"operation": {"protocol": "http", "risks": ["unparsed"]}}
	some x in d
	contains(x.hint, "JSON")
}

test_agents_where_classified if {
	every risk in object.keys(defaults.where_classified) {
		codes(statement("agent", "orders", [risk])) == {risk}
		codes(statement("robot", "orders", [risk])) == {risk}
		codes(statement("human", "orders", [risk])) == set()
		codes(statement("agent", "elsewhere", [risk])) == set()
	}
}

test_agents_everywhere if {
	every risk in object.keys(defaults.for_agents) {
		codes(statement("agent", "elsewhere", [risk])) == {risk}
		codes(statement("service", "elsewhere", [risk])) == set()
	}
}

test_opaque_is_said_once if {
	every risk in defaults.explaining - {"file_access", "replication", "unparsed"} {
		"opaque" in codes(statement("agent", "orders", ["opaque", risk, "untraced"]))
		codes(statement("agent", "orders", ["opaque", risk])) == {risk}
	}
	codes(statement("agent", "orders", ["opaque", "untraced"])) == {"opaque"}
	codes(statement("agent", "orders", ["opaque", "sleep"])) == {"opaque"}
	codes(statement("agent", "orders", ["opaque", "dynamic_sql", "code_block"])) == {"code_block"}
	codes(statement("agent", "orders", ["opaque", "dynamic_sql", "xml_export", "opaque_function"])) == {"xml_export"}
	codes(statement("agent", "orders", ["opaque", "dynamic_sql", "opaque_function"])) == {"dynamic_sql"}
}

test_every_target_classified if {
	c := {denial.code | some denial in defaults.deny} with input as statement("agent", "elsewhere", ["opaque"])
		with data.weir.classification.targets as {"*": true}
	c == {"opaque"}
}

test_every_denial_helps if {
	every denial in array.concat(
		[d | some d in defaults.for_agents],
		[d | some d in defaults.where_classified],
	) {
		denial.message != ""
		denial.hint != ""
	}
}

test_the_key_is_the_code if {
	every risk, denial in object.union(defaults.for_agents, defaults.where_classified) {
		denial.code == risk
	}
}

test_waived if {
	c := {denial.code | some denial in defaults.deny} with input as statement("agent", "orders", ["opaque", "unparsed"])
		with data.weir.classification.targets as {"orders": true}
		with data.weir.said.waive as {"opaque"}
	c == {"unparsed"}
}

texts(action, actions) := {
	"principal": {"kind": "human"},
	"operation": {"action": action, "risks": [], "statements": [{"action": a} | some a in actions]},
}

test_mixed if {
	codes(texts("select", ["select", "select"])) == set()
	codes(texts("update", ["transaction", "update", "transaction"])) == set()
	codes(texts("select", ["select", "delete"])) == {"mixed_statements"}
	codes(texts("transaction", ["transaction", "delete"])) == {"mixed_statements"}
	codes(texts("multi", ["select", "delete"])) == {"mixed_statements"}
}

test_indirect_write if {
	every action in ["prepare", "execute", "declare", "fetch"] {
		codes({"operation": {"action": action, "tables": [{"access": "write"}]}}) == {"indirect_write"}
		codes({"operation": {"action": action, "tables": [{"access": "read"}]}}) == set()
	}
	codes({"operation": {"action": "update", "tables": [{"access": "write"}]}}) == set()
}

test_who_signed_in_connects if {
	defaults.allow with input as {"phase": "connect", "principal": {"subject": "x", "auth": "oidc"}}
	not defaults.allow with input as {"phase": "operation", "principal": {"subject": "x", "auth": "oidc"}}
	not defaults.allow with input as {"phase": "connect", "principal": {"subject": "", "auth": "oidc"}}
	not defaults.allow with input as {"phase": "connect", "principal": {"subject": "x", "auth": ""}}
	not defaults.allow with input as {"phase": "connect"}
}

replicating(what) := object.union(connecting("human", "elsewhere", []), {"session": {"replication": what}})

test_replication_is_waived_by_name if {
	every what in ["physical", "database"] {
		codes(replicating(what)) == {"replication_connection"}
		c := {denial.code | some denial in defaults.deny} with input as replicating(what)
			with data.weir.said.waive as {"replication_connection"}
		c == set()
		d := {denial.code | some denial in defaults.deny} with input as replicating(what)
			with data.weir.said.waive as {"replication"} # of statements
		d == {"replication_connection"}
	}
}

connecting(kind, target, risks) := {
	"phase": "connect",
	"principal": {"subject": "x", "kind": kind, "auth": "oidc"},
	"target": {"name": target},
	"session": {"risks": risks},
}

test_settings_at_connect if {
	every kind in ["agent", "service", "human"] {
		codes(connecting(kind, "elsewhere", ["set_role"])) == {"set_role"}
		codes(connecting(kind, "elsewhere", ["session_settings", "parser_settings", "search_path"])) == set()
	}
	codes(connecting("agent", "orders", ["session_settings", "parser_settings", "search_path"])) == {"session_settings", "parser_settings"}
	codes(connecting("human", "orders", ["session_settings", "parser_settings"])) == set()
	codes({"phase": "connect", "principal": {"kind": "agent"}, "target": {"name": "orders"}, "session": {}}) == set()
}

test_settings_at_connect_waived if {
	c := {denial.code | some denial in defaults.deny} with input as connecting("agent", "elsewhere", ["set_role"])
		with data.weir.said.waive as {"set_role"}
	c == set()
}

test_every_denial_at_connect_helps if {
	every code, denial in defaults.at_connect {
		denial.code == code
		denial.message != ""
		denial.hint != ""
	}
}

test_identity if {
	every kind in ["agent", "service", "human"] {
		codes(statement(kind, "elsewhere", ["identity_setting"])) == {"identity_setting"}
		codes(statement(kind, "elsewhere", ["identity_hidden"])) == {"identity_hidden"}
	}
	c := {denial.code | some denial in defaults.deny} with input as statement("human", "elsewhere", ["identity_setting", "identity_hidden"])
		with data.weir.said.waive as {"identity_setting", "identity_hidden"}
	c == {"identity_setting"}
}
