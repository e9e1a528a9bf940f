# What may not be asked about masked columns. A statement can tell of a value
# without delivering it: by the rows that it returns, by their order or number, or
# by failing. A column is masked here where one of the masks that this very
# decision answers with is for it.
package weir.rules.defaults

import data.weir.lib
import data.weir.said

deny contains denial if {
	lib.is_agent
	some use, columns in asked_of_masked
	denial := about_masked(use, columns)
	not denial.code in said.waive
}

# Who writes a mask says what becomes of values computed from what it hides.
deny contains denial if {
	columns := {name |
		some column in input.operation.columns
		column.use == "derived"
		hidden(column, refusing)
		name := name_of(column)
	}
	columns != set()
	denial := {
		"code": "masked_derived",
		"message": concat("", ["the statement computes from columns that are masked: ", concat(", ", columns)]),
		"hint": "Select the columns themselves: they come back masked.",
	}
	not denial.code in said.waive
}

# Use → names of the masked columns that have it.
asked_of_masked[column.use] contains name_of(column) if {
	some column in input.operation.columns
	questions[column.use]
	hidden(column, masked)
}

masked := {subject |
	some mask in said.mask[_]
	some subject in subjects(mask)
}

refusing := {subject |
	some mask in said.mask[_]
	said_of(mask, "derived") == "refuse"
	some subject in subjects(mask)
}

# What a mask hides: a class or a column. They cannot be taken for each other.
subjects(mask) := [[kind, name] |
	some kind in ["class", "column"]
	name := said_of(mask, kind)
	name != ""
]

# A mask may be malformed, which is found where the answer is read; the compiler
# knows what the rules make of it, and takes the detour for an object of any kind.
said_of(mask, name) := object.get({"mask": mask}, ["mask", name], "")

hidden(column, by) if {
	some class in column.classes
	["class", class] in by
}

hidden(column, by) if ["column", name_of(column)] in by

name_of(column) := concat(".", [column.schema, column.table, column.name])

about_masked(use, columns) := {
	"code": questions[use].code,
	"message": concat("", [questions[use].message, ": ", concat(", ", columns)]),
	"hint": questions[use].hint,
}

# Use of a masked column → denial of an agent.
questions := {
	"filter": {
		"code": "masked_filter",
		"message": "the rows would depend on columns that are masked",
		"hint": "Filter and join by columns that are not masked, such as keys.",
	},
	"order": {
		"code": "masked_order",
		"message": "the order would depend on columns that are masked",
		"hint": "Order by columns that are not masked.",
	},
	"group": {
		"code": "masked_group",
		"message": "rows would be grouped or compared by columns that are masked",
		"hint": "Group by columns that are not masked, and leave DISTINCT and UNION to those.",
	},
	"fallible": {
		"code": "masked_error",
		"message": "the statement could fail or not by the values of columns that are masked",
		"hint": "Select the columns themselves, without computing from them.",
	},
}
