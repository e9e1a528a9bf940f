package policies

import "github.com/weir-gateway/weir/internal/gate"

// text is a field that is always a string.
func text(name string, get func(*gate.Input) string) field {
	return always(name, func(in *gate.Input, to sink) { to.text(get(in)) })
}

// optional is a string that is absent when empty.
func optional(name string, get func(*gate.Input) string) field {
	return field{name: name, write: func(in *gate.Input, to sink) bool {
		s := get(in)
		if s == "" {
			return false
		}
		to.text(s)
		return true
	}}
}

// list is a field of strings.
func list(name string, get func(*gate.Input) []string) field {
	return always(name, func(in *gate.Input, to sink) { texts(to, get(in)) })
}

// listIfAny is a field of strings that is absent when there are none.
func listIfAny(name string, get func(*gate.Input) []string) field {
	return field{name: name, write: func(in *gate.Input, to sink) bool {
		all := get(in)
		if len(all) > 0 {
			texts(to, all)
		}
		return len(all) > 0
	}}
}

// always is a field that is there.
func always(name string, write func(*gate.Input, sink)) field {
	return field{name: name, write: func(in *gate.Input, to sink) bool {
		write(in, to)
		return true
	}}
}

// free is a field of any shape.
func free(name string, get func(*gate.Input) (any, bool)) field {
	return field{name: name, parsed: get, write: func(in *gate.Input, to sink) bool {
		v, ok := get(in)
		if ok {
			to.value(v)
		}
		return ok
	}}
}

// guarded is a field that is absent unless there holds.
func guarded(f field, there func(*gate.Input) bool) field {
	write, parsed := f.write, f.parsed
	f.write = func(in *gate.Input, to sink) bool { return there(in) && write(in, to) }
	if parsed != nil {
		f.parsed = func(in *gate.Input) (any, bool) {
			if !there(in) {
				return nil, false
			}
			return parsed(in)
		}
	}
	for name, write := range f.members {
		f.members[name] = func(in *gate.Input, to sink) bool { return there(in) && write(in, to) }
	}
	return f
}

// pairs writes an object of strings: name, value, name, value.
func pairs(to sink, namesAndValues ...string) {
	to.object(len(namesAndValues) / 2)
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		to.name(namesAndValues[i])
		to.text(namesAndValues[i+1])
	}
}
