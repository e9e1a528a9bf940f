# METADATA
# title: Words for rules
# description: |
#   import data.weir.lib, and say lib.is_agent, lib.in_group("dba"),
#   lib.reads_class("pii.ssn"). Each reads only the fields that it names.
package weir.lib

# METADATA
# description: The session wants to reach its target.
connects if input.phase == "connect"

# METADATA
# description: A statement or request wants to be forwarded.
operates if input.phase == "operation"

# METADATA
# description: An AI agent; who cannot be told apart counts as one.
default is_agent := true

is_agent := false if input.principal.kind in {"human", "service"}

is_human if input.principal.kind == "human"

is_service if input.principal.kind == "service"

# METADATA
# description: The principal has a role, with its prefix ("role:billing.reader").
has_role(role) if role in input.principal.roles

# METADATA
# description: The principal is in a group, named without its prefix.
in_group(name) if concat(":", ["group", name]) in input.principal.roles

# METADATA
# description: Somebody acts for the principal's subject (`act`, RFC 8693).
is_delegated if count(input.principal.on_behalf_of) > 0

# METADATA
# description: This subject is among those who act for the principal's subject.
acts_for(subject) if {
	some actor in input.principal.on_behalf_of
	actor.subject == subject
}

# METADATA
# description: A label of the target has this value.
has_label(name, value) if input.target.labels[name] == value

# METADATA
# description: Something is classified at the target.
is_classified if data.weir.classification.targets[input.target.name]

is_classified if data.weir.classification.targets["*"]

# METADATA
# description: Analysis found this risk.
has_risk(risk) if risk in input.operation.risks

# METADATA
# description: A column of this class is used in any way but to be written.
reads_class(class) if class in classes_read

# METADATA
# description: A column of this class is written.
writes_class(class) if class in classes_written

# METADATA
# description: A column of this class comes out, plain or as part of an expression.
returns_class(class) if class in classes_returned

# METADATA
# description: The token has been given data of this class before, over any protocol.
has_read(class) if class in input.session.classes_read

classes_read contains class if {
	some column in input.operation.columns
	column.use != "write"
	some class in column.classes
}

classes_written contains class if {
	some column in input.operation.columns
	column.use == "write"
	some class in column.classes
}

classes_returned contains class if {
	some column in input.operation.columns
	column.use in {"output", "derived"}
	some class in column.classes
}

# METADATA
# description: A table is read.
reads_table(schema, name) if {
	some table in input.operation.tables
	table.schema == schema
	table.name == name
	table.access == "read"
}

# METADATA
# description: A table is written.
writes_table(schema, name) if {
	some table in input.operation.tables
	table.schema == schema
	table.name == name
	table.access == "write"
}

# METADATA
# description: The statement calls this function.
calls(name) if name in input.operation.functions

# METADATA
# description: |
#   Somebody with this role has voted for exactly this operation.
approved_by(role) if {
	some vote in input.approvals
	vote.approve
	role in vote.approver.roles
}

# METADATA
# description: |
#   The hour is at least from and below to, in a time zone ("Europe/Berlin").
#   A rule that asks the time is judged anew each time.
between_hours(from, to, zone) if {
	[hour, _, _] := time.clock([input.now, zone])
	hour >= from
	hour < to
}
