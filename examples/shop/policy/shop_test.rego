package weir.rules.shop_test

import data.weir.decision
import rego.v1

agent := {"subject": "support-agent", "kind": "agent", "roles": ["group:support"]}

asks(who, operation) := {
	"phase": "operation",
	"principal": who,
	"target": {"name": "shop", "kind": "postgres", "labels": {}},
	"operation": object.union({"protocol": "postgres", "risks": [], "tables": [], "columns": []}, operation),
}

calls(method, path, body) := {
	"phase": "operation",
	"principal": agent,
	"target": {"name": "customers-api", "kind": "http", "labels": {}},
	"operation": {"protocol": "http", "action": lower(method), "method": method, "path": path, "body": body, "risks": []},
}

orders := [{"schema": "public", "name": "orders", "access": "write"}]

test_agents_read if {
	decision.allow with input as asks(agent, {"action": "select"})
}

test_a_delete_of_everything_is_denied if {
	d := decision with input as asks(agent, {"action": "delete", "risks": ["no_where"], "tables": orders})
	d.deny[_].code == "no_where"
}

test_a_delete_of_orders_is_held if {
	d := decision with input as asks(agent, {"action": "delete", "tables": orders})
	d.hold[_].rule == "delete_orders"
}

test_a_schema_change_is_held if {
	d := decision with input as asks(agent, {"action": "ddl"})
	d.hold[_].rule == "schema_change"
}

test_agents_see_masks if {
	d := decision with input as asks(agent, {"action": "select"})
	{m.class | some m in d.mask} == {"pii.ssn", "pci.pan", "pii.email"}
}

test_privacy_sees_all if {
	privacy := {"subject": "privacy-agent", "kind": "agent", "roles": ["group:privacy"]}
	d := decision with input as asks(privacy, {"action": "select"})
	count(d.mask) == 0
}

test_agents_read_the_api if {
	decision.allow with input as calls("GET", "/customers", null)
}

test_agents_do_not_delete_customers if {
	not decision.allow with input as calls("DELETE", "/customers/7", null)
}

test_small_refunds if {
	decision.allow with input as calls("POST", "/refunds", {"amount": 20})
}

test_large_refunds_are_denied if {
	d := decision with input as calls("POST", "/refunds", {"amount": 250})
	d.deny[_].code == "refund_too_large"
}
