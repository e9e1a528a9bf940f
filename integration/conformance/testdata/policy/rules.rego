# Agents may do everything but what the library denies. What is protected is hidden,
# and at the target "strict" nothing may be asked about it either.
package weir.rules.conformance

import rego.v1

allow := true

mask contains {"class": "canary", "with": "redact"}

deny contains {"code": "oracle", "message": "rows would tell of a masked column"} if {
	input.target.name == "strict"
	some column in input.operation.columns
	column.use in {"filter", "order", "group"}
	"canary" in column.classes
}
