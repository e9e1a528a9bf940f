package policies

// sink takes a JSON value piece by piece. Both what policy is shown and the key
// of a cached decision are written through it by the same code (fields.go), so
// they cannot differ in what they hold.
type sink interface {
	null()
	flag(v bool)
	integer(v int64)
	text(v string)
	list(n int)    // n values follow
	object(n int)  // n pairs follow, each a name and a value
	name(v string) // of the next pair
	value(v any)   // parsed JSON, or a map of strings or lists of strings
}

// texts writes a list of strings; nil is null, as in encoding/json.
func texts(to sink, list []string) {
	if list == nil {
		to.null()
		return
	}
	to.list(len(list))
	for _, s := range list {
		to.text(s)
	}
}
