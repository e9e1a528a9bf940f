# What the tests need beside the shop's own rules.
package weir.rules.trial

import rego.v1

allow if {
	input.target.name == "shop"
	input.operation.action in {"prepare", "execute", "deallocate", "declare", "fetch", "close", "copy", "call", "do", "show"}
}

allow if {
	input.target.name in {"patient", "tiny", "lame", "late"}
	input.operation.action in {"select", "set"}
}

# Targets that differ in how the gateway gets to the server.
allow if {
	regex.match(`^(up|plain)-`, input.target.name)
	input.operation.action == "select"
}

allow if input.target.name == "lame-api"

allow if {
	input.target.name == "customers-api"
	input.operation.method == "HEAD"
}

# A customer is removed by two: an agent who asks, and an administrator.
allow if removes_customer

hold contains {"rule": "remove_customer", "approvers": ["group:dba"], "required": 1, "ttl": "15m", "reason": "removes a customer"} if {
	removes_customer
}

removes_customer if {
	input.target.name == "customers-api"
	input.operation.method == "DELETE"
	startswith(input.operation.path, "/customers/90")
}

# Prices are changed by two people.
hold contains {"rule": "price_change", "approvers": ["group:dba"], "required": 2, "ttl": "15m", "reason": "changes prices"} if {
	input.operation.action == "update"
	writes("products")
}

# Nobody is quick enough for this one.
hold contains {"rule": "hasty", "approvers": ["group:dba"], "required": 1, "ttl": "1s", "reason": "must be approved at once"} if {
	input.operation.action == "delete"
	writes("order_items")
}

writes(name) if {
	some table in input.operation.tables
	table.name == name
	table.access == "write"
}
