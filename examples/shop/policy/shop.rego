# The rules of the shop's database.
package weir.rules.shop

import rego.v1

on_shop if input.target.name == "shop"

allow if {
	on_shop
	input.operation.action in {"select", "insert", "update", "delete", "transaction", "set", "explain", "ddl"}
}

# A statement that would touch every row is a mistake more often than not.
deny contains {
	"code": "no_where",
	"message": "UPDATE or DELETE without WHERE would touch every row",
	"hint": "Add a WHERE that names the rows you mean.",
} if {
	on_shop
	"no_where" in input.operation.risks
}

# What changes the schema, or removes orders, a database administrator looks at.
hold contains {
	"rule": "schema_change",
	"approvers": ["group:dba"],
	"required": 1,
	"ttl": "15m",
	"reason": "changes the schema",
} if {
	on_shop
	input.operation.action == "ddl"
}

hold contains {
	"rule": "delete_orders",
	"approvers": ["group:dba"],
	"required": 1,
	"ttl": "15m",
	"reason": "removes orders for good",
} if {
	on_shop
	input.operation.action == "delete"
	some table in input.operation.tables
	table.name == "orders"
	table.access == "write"
}
