package weir.rules.masked_test

import data.weir.decision

ssn := {"schema": "public", "table": "customers", "name": "ssn", "classes": ["pii.ssn"]}

note := {"schema": "public", "table": "orders", "name": "note", "classes": []}

codes(d) := {denial.code | some denial in d.deny}

# asked is what a principal of this kind is told who uses columns so, masked by these.
asked(kind, columns, masks, waived) := codes(d) if {
	d := decision with input as {
		"phase": "operation",
		"principal": {"subject": "x", "kind": kind, "roles": [], "auth": "oidc"},
		"target": {"name": "orders", "kind": "postgres"},
		"operation": {"protocol": "postgres", "action": "select", "risks": [], "statements": [{"action": "select"}], "columns": columns},
	}
		with data.weir.said.mask as {"a": {m | some m in masks}, "b": set()}
		with data.weir.said.allow as {"a"}
		with data.weir.said.waive as {c | some c in waived}
}

uses(column, use) := object.union(column, {"use": use})

by_class := [{"class": "pii.ssn", "with": "hash"}]

by_column := [{"column": "public.orders.note", "with": "null"}]

expected := {"filter": "masked_filter", "order": "masked_order", "group": "masked_group", "fallible": "masked_error"}

test_agents_do_not_ask_about_what_is_masked if {
	every use, code in expected {
		asked("agent", [uses(ssn, use)], by_class, []) == {code}
		asked("robot", [uses(ssn, use)], by_class, []) == {code}
		asked("agent", [uses(note, use)], by_column, []) == {code}
		asked("agent", [uses(note, "output"), uses(ssn, use)], by_class, []) == {code}
	}
}

test_others_may if {
	every use, _ in expected {
		asked("human", [uses(ssn, use)], by_class, []) == set()
		asked("service", [uses(ssn, use)], by_class, []) == set()
	}
}

test_about_what_is_not_masked_anybody_may if {
	every use, _ in expected {
		asked("agent", [uses(ssn, use)], [], []) == set()
		asked("agent", [uses(ssn, use)], [{"class": "pii", "with": "redact"}], []) == set()
		asked("agent", [uses(ssn, use)], by_column, []) == set()
		asked("agent", [uses(note, use)], by_class, []) == set()
		asked("agent", [uses(ssn, use)], [{"path": "$.ssn", "with": "redact"}], []) == set()
	}
}

# A class is not a column that is named like it, nor the other way round.
test_subjects_are_told_apart if {
	odd := {"schema": "a", "table": "b", "name": "c", "classes": ["x.y.z"]}
	asked("agent", [uses(odd, "filter")], [{"class": "a.b.c", "with": "redact"}], []) == set()
	asked("agent", [uses(odd, "filter")], [{"column": "x.y.z", "with": "redact"}], []) == set()
	asked("agent", [uses(odd, "filter")], [{"column": "a.b.c", "with": "redact"}], []) == {"masked_filter"}
}

# A mask without a subject is malformed; it masks nothing without a class.
test_no_subject_is_no_subject if {
	asked("agent", [uses(object.union(ssn, {"classes": [""]}), "output")], [{"with": "redact"}], []) == set()
}

test_other_uses_are_free if {
	every use in ["output", "derived", "owner_filter", "write"] {
		asked("agent", [uses(ssn, use)], by_class, []) == set()
	}
}

test_each_is_waived_by_its_code if {
	every use, code in expected {
		asked("agent", [uses(ssn, use)], by_class, [code]) == set()
		asked("agent", [uses(ssn, use)], by_class, ["opaque"]) == {code}
	}
}

test_all_that_is_asked_is_said if {
	all := [uses(ssn, use) | some use, _ in expected]
	asked("agent", all, by_class, []) == {code | some code in expected}
}

refused := [{"class": "pii.ssn", "with": "hash", "derived": "refuse"}]

test_derived_is_refused_where_the_mask_says_so if {
	every kind in ["agent", "service", "human"] {
		asked(kind, [uses(ssn, "derived")], refused, []) == {"masked_derived"}
		asked(kind, [uses(ssn, "derived")], refused, ["masked_derived"]) == set()
		asked(kind, [uses(ssn, "output"), uses(note, "derived")], refused, []) == set()
	}
	every how in ["mask", "allow"] {
		asked("agent", [uses(ssn, "derived")], [{"class": "pii.ssn", "with": "hash", "derived": how}], []) == set()
	}
}

# One mask that refuses is enough.
test_the_strictest_counts if {
	both := array.concat(refused, [{"class": "pii.ssn", "with": "redact", "derived": "allow"}])
	asked("agent", [uses(ssn, "derived")], both, []) == {"masked_derived"}
}

test_the_columns_are_named if {
	d := decision with input as {
		"phase": "operation",
		"principal": {"subject": "x", "kind": "agent", "roles": [], "auth": "oidc"},
		"target": {"name": "orders", "kind": "postgres"},
		"operation": {"protocol": "postgres", "action": "select", "risks": [], "statements": [], "columns": [uses(ssn, "filter"), uses(note, "filter")]},
	}
		with data.weir.said.mask as {"a": {{"class": "pii.ssn"}}}
		with data.weir.said.allow as {"a"}
	{denial.message | some denial in d.deny} == {"the rows would depend on columns that are masked: public.customers.ssn"}
}
