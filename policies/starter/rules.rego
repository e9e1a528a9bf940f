# METADATA
# title: Rules to start from
# description: |
#   Agents may read; they change rows only with a WHERE, and schemas only when
#   a DBA agrees. Sensitive values are masked for everybody outside the group
#   privacy. Change the names to yours.
package weir.rules.starter

import data.weir.lib

# What surrounds statements and changes nothing by itself.
harmless := {"transaction", "set", "show", "explain", "prepare", "execute", "deallocate", "declare", "fetch", "close"}

allow if input.operation.action == "select"

allow if input.operation.action in harmless

allow if {
	input.operation.action in {"insert", "update", "delete"}
	not "no_where" in input.operation.risks
}

# HTTP: agents may read, people may also write.
allow if input.operation.method in {"GET", "HEAD", "OPTIONS"}

allow if {
	lib.is_human
	input.operation.method in {"POST", "PUT", "PATCH", "DELETE"}
}

deny contains {
	"code": "no_where",
	"message": sprintf("%s without a WHERE would change every row", [upper(input.operation.action)]),
	"hint": "Say in a WHERE which rows are meant.",
} if {
	input.operation.action in {"update", "delete"}
	"no_where" in input.operation.risks
}

deny contains {
	"code": "truncate",
	"message": "TRUNCATE would remove every row",
	"hint": "Use DELETE with a WHERE that says which rows are meant.",
} if {
	input.operation.action == "truncate"
}

# People decide about what is hard to take back.
hold contains {
	"rule": "ddl",
	"approvers": ["group:dba"],
	"required": 1,
	"ttl": "15m",
	"reason": "a change of the schema",
} if {
	input.operation.action == "ddl"
}

hold contains {
	"rule": "delete_orders",
	"approvers": ["group:dba", "group:sales-lead"],
	"required": 1,
	"ttl": "15m",
	"reason": "orders are about to be deleted",
} if {
	input.operation.action == "delete"
	lib.writes_table("public", "orders")
}

# Who is not in the group privacy sees sensitive values masked.
mask contains {"class": "pii.ssn", "with": "partial", "keep_last": 4} if not lib.in_group("privacy")

mask contains {"class": "pci.pan", "with": "partial", "keep_last": 4} if not lib.in_group("privacy")

# Equal addresses stay equal: who has a result can tell who is the same.
mask contains {"class": "pii.email", "with": "hash"} if not lib.in_group("privacy")

# An agent does not need more than this at once.
limits contains {"max_rows": 10000, "timeout": "1m"} if lib.is_agent
