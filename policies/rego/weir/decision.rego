# METADATA
# title: The decision
# description: |
#   The one question that the gateway asks: data.weir.decision. It folds what
#   the packages under data.weir.rules say, gathered by package in
#   data.weir.said: any deny wins over any hold, any hold over allow, and where
#   nobody says anything the answer is deny. Users write rules, never this.
package weir

import data.weir.said

decision := {
	"effect": effect,
	"allow": allow,
	"deny": answer,
	"hold": holds,
	"mask": {mask | some mask in said.mask[_]},
	"limits": {limit | some limit in said.limits[_]},
	"record": {record | some record in said.record[_]},
	# Who said what: package → what it contributed.
	"said": {
		"allow": said.allow,
		"deny": said.deny,
		"hold": said.hold,
		"mask": said.mask,
		"limits": said.limits,
		"record": said.record,
	},
}

# The zero answer.
default effect := "deny"

effect := "hold" if {
	denials == set()
	holds != set()
}

effect := "allow" if {
	denials == set()
	holds == set()
	said.allow != set()
}

default allow := false

allow if effect == "allow"

denials := {denial | some denial in said.deny[_]}

holds := {hold | some hold in said.hold[_]}

answer := denials if denials != set()

# A refusal always says something.
answer := {default_deny} if {
	denials == set()
	effect == "deny"
}

answer := set() if {
	denials == set()
	effect != "deny"
}

default_deny := {
	"code": "default_deny",
	"message": concat(" ", ["no rule allows", asked]),
	"hint": "Only what a rule allows is forwarded. Ask the operator of the gateway for a rule.",
}

default asked := "this"

asked := sprintf("%s %s to use %q on target %s", [
	kind,
	input.principal.subject,
	input.operation.action,
	input.target.name,
])

default kind := "agent"

kind := input.principal.kind if input.principal.kind in {"human", "service"}
