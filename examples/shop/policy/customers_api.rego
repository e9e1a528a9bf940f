# The rules of the customers API.
package weir.rules.customers_api

import rego.v1

on_api if input.target.name == "customers-api"

allow if {
	on_api
	input.operation.method == "GET"
}

# A small refund is an agent's to give. What it says must be what the API reads:
# a number, in JSON, and no field beside it that the API might take for it.
allow if {
	on_api
	input.operation.method == "POST"
	input.operation.path == "/refunds"
	input.operation.body.amount <= 100
	is_number(input.operation.body.amount)
	every field, _ in input.operation.body {
		field in {"customer", "order", "amount", "reason"}
	}
}

deny contains {
	"code": "refund_too_large",
	"message": sprintf("a refund of %v is more than an agent may give", [input.operation.body.amount]),
	"hint": "Agents may refund up to 100; ask a person for more.",
} if {
	on_api
	input.operation.method == "POST"
	input.operation.path == "/refunds"
	input.operation.body.amount > 100
}
