package classify

import "slices"

// family is what sort of values a type has, as far as it matters here.
type family string

const (
	text    family = "text"
	integer family = "integer"
	number  family = "number"
	moment  family = "moment" // dates and times
	network family = "network"
	json    family = "json"
	blob    family = "bytes"
	uid     family = "uuid"
	flag    family = "bool"
	choice  family = "enum"
	other   family = "other"
)

// familyOf is the family of a type by its name in pg_type and its category (PostgreSQL
// documentation, chapter 52.65); of an array that of its elements.
func familyOf(name, category string) family {
	switch name {
	case "int2", "int4", "int8":
		return integer
	case "json", "jsonb":
		return json
	case "bytea":
		return blob
	case "uuid":
		return uid
	case "hstore", "xml":
		return text
	}
	switch category {
	case "S":
		return text
	case "N":
		return number
	case "D":
		return moment
	case "I":
		return network
	case "B":
		return flag
	case "E":
		return choice
	}
	return other
}

// families that a class may have besides text.
var families = map[string][]family{
	phone: {integer, number}, address: {integer, json}, birth: {moment, integer}, ssn: {integer, number}, national: {integer, number},
	tax: {integer, number}, passport: {integer, number}, license: {integer, number}, ip: {network, integer}, location: {number, other, json},
	gender: {integer, choice}, special: {choice, json, flag}, health: {integer, choice, json}, insurance: {integer, number},
	device: {integer, number, uid, network}, biometric: {blob, json, other}, pan: {integer, number}, cvv: {integer, number}, account: {integer, number},
	salary: {integer, number}, password: {integer, blob}, token: {blob, uid}, key: {blob, uid}, person: {json},
}

// fits says whether values of a class may be of a family.
func fits(class string, f family) bool { return f == text || slices.Contains(families[class], f) }

// readable are the families whose values are looked at.
func readable(f family) bool {
	return f == text || f == integer || f == number || f == json || f == network
}
