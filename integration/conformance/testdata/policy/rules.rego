# Agents may do everything but what the library denies. What is protected is hidden;
# at the target "lax" they may also ask about it.
package weir.rules.conformance

import rego.v1

allow := true

mask contains {"class": "canary", "with": "redact"}

waive contains code if {
	input.target.name == "lax"
	some code in {"masked_filter", "masked_order", "masked_group", "masked_error"}
}
