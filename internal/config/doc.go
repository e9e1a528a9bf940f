// Package config turns one YAML file into a validated Config: every mistake is
// reported at once, with its place, what is wrong and the way out. It is a leaf:
// it opens no connection, reads no secret and runs nothing; internal/app maps
// what it returns onto the Config of each room.
//
// The Go types in types*.go are the only description of the file. Their tags
// say the rest:
//
//	yaml      the key
//	required  the key must be there
//	default   the value where the file says nothing
//	example   a value to show where one is missing
//	aka       other words that people write for the key
//	kind      the one kind of target that knows the key
//	reload    "restart" where a change takes effect at the next start only
//
// and their doc comments are the descriptions in the JSON Schema.
package config
