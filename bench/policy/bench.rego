# The rules under which the gateway is measured: about as many, and of the same
# kinds, as an owner of one database and one API writes.
package weir.rules.bench

import rego.v1

reads := {"select", "transaction", "set", "show", "explain"}

allow if {
	input.target.kind == "postgres"
	input.operation.action in reads
}

allow if {
	input.target.kind == "postgres"
	input.operation.action in {"insert", "copy"}
	input.principal.kind == "agent"
}

allow if {
	input.target.kind == "http"
	input.operation.method == "GET"
}

deny contains {
	"code": "no_where",
	"message": "UPDATE or DELETE without WHERE would touch every row",
	"hint": "Add a WHERE that names the rows you mean.",
} if {
	"no_where" in input.operation.risks
}

deny contains {
	"code": "history",
	"message": "the history is written by the application alone",
} if {
	some table in input.operation.tables
	table.name == "pgbench_history"
	table.access == "write"
}

hold contains {
	"rule": "schema_change",
	"approvers": ["group:dba"],
	"required": 1,
	"ttl": "15m",
	"reason": "changes the schema",
} if {
	input.operation.action == "ddl"
}

# A target that reads no bodies cannot mask.
masking if {
	not "group:privacy" in input.principal.roles
	object.get(input.target.labels, "inspect", "body") == "body"
}

mask contains {"class": "pii.ssn", "with": "partial", "keep_last": 4} if masking

mask contains {"class": "pci.pan", "with": "partial", "keep_last": 4} if masking

mask contains {"class": "pii.email", "with": "hash"} if masking
