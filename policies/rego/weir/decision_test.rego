package weir_test

import data.weir.decision

denial := {"code": "c", "message": "m"}

needs := {"rule": "r", "approvers": ["group:dba"]}

# What the packages say → what it comes to.
cases := [
	{"say": {}, "effect": "deny"},
	{"say": {"allow": ["a"]}, "effect": "allow"},
	{"say": {"allow": ["a", "b"]}, "effect": "allow"},
	{"say": {"hold": {"a": {needs}}}, "effect": "hold"},
	{"say": {"hold": {"a": {needs}}, "allow": ["b"]}, "effect": "hold"},
	{"say": {"deny": {"a": {denial}}}, "effect": "deny"},
	{"say": {"deny": {"a": {denial}}, "allow": ["b"]}, "effect": "deny"},
	{"say": {"deny": {"a": {denial}}, "hold": {"b": {needs}}, "allow": ["c"]}, "effect": "deny"},
	{"say": {"deny": {"a": set()}, "hold": {"b": set()}, "allow": ["c"]}, "effect": "allow"},
	{"say": {"deny": {"a": set()}, "hold": {"b": set()}}, "effect": "deny"},
]

fold(say) := d if {
	d := decision with data.weir.said.allow as {name | some name in object.get(say, "allow", [])}
		with data.weir.said.deny as object.get(say, "deny", {})
		with data.weir.said.hold as object.get(say, "hold", {})
		with input as {"phase": "operation"}
}

test_effect if {
	every case in cases {
		d := fold(case.say)
		d.effect == case.effect
		d.allow == object.get({"allow": true}, case.effect, false)
	}
}

test_a_refusal_says_something if {
	every case in cases {
		d := fold(case.say)
		reasons := min([1, count(d.deny)])
		reasons == object.get({"deny": 1}, case.effect, 0)
	}
}

test_default_deny_is_told_apart if {
	d := fold({})
	{x.code | some x in d.deny} == {"default_deny"}
}

test_default_deny_says_what_was_asked if {
	d := decision with data.weir.said.allow as set() with input as {
		"principal": {"subject": "agent-1", "kind": "agent"},
		"operation": {"action": "update", "risks": []},
		"target": {"name": "orders"},
	}
	some x in d.deny
	x.message == `no rule allows agent agent-1 to use "update" on target orders`
}

test_default_deny_names_people if {
	d := decision with data.weir.said.allow as set() with input as {
		"principal": {"subject": "ada", "kind": "human"},
		"operation": {"action": "update", "risks": []},
		"target": {"name": "orders"},
	}
	some x in d.deny
	startswith(x.message, "no rule allows human ada ")
}

test_sets_are_joined if {
	d := decision with data.weir.said.mask as {"a": {{"class": "x"}}, "b": {{"class": "y"}}}
		with data.weir.said.limits as {"a": {{"max_rows": 1}}, "b": {{"max_rows": 2}}}
		with data.weir.said.record as {"a": {"full"}, "b": {"metadata"}}
		with input as {}
	d.mask == {{"class": "x"}, {"class": "y"}}
	d.limits == {{"max_rows": 1}, {"max_rows": 2}}
	d.record == {"full", "metadata"}
}

test_never_undefined if {
	every x in [{}, {"phase": 7}, [], "x", null, {"operation": null}, {"principal": {"kind": []}}] {
		d := decision with input as x
		d.effect == "deny"
	}
}
