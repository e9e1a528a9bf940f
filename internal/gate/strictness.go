package gate

// Stricter combines two masks of the same value into the one that shows less,
// so that it does not matter which rule spoke first. From strict to mild:
//
//	redact, null, hash, fake, partial, range, date_trunc
//
// Of one kind, the result keeps no more than either: the fewer characters, the
// wider bucket, the coarser unit. What cannot be understood is redact. Of derived
// values, likewise from strict to mild: refuse, mask, allow.
func (s MaskSpec) Stricter(o MaskSpec) MaskSpec {
	derived := stricterDerived(s.Derived, o.Derived)
	s, o = s.orRedact(), o.orRedact()
	s.Derived, o.Derived = derived, derived
	a, b := strictness(s.With), strictness(o.With)
	switch {
	case a > b:
		return s
	case b > a:
		return o
	}
	switch s.With {
	case "partial":
		s.KeepFirst = min(s.KeepFirst, o.KeepFirst)
		s.KeepLast = min(s.KeepLast, o.KeepLast)
	case "range":
		s.Size = max(s.Size, o.Size)
	case "date_trunc":
		if coarseness(o.Unit) > coarseness(s.Unit) {
			s.Unit = o.Unit
		}
	}
	return s
}

// orRedact is the mask itself where it is whole, and redact where it is not.
func (s MaskSpec) orRedact() MaskSpec {
	switch s.With {
	case "null", "hash", "fake":
		return s
	case "partial":
		if s.KeepFirst >= 0 && s.KeepLast >= 0 {
			return s
		}
	case "range":
		if s.Size > 0 {
			return s
		}
	case "date_trunc":
		if coarseness(s.Unit) > 0 {
			return s
		}
	}
	return MaskSpec{With: "redact"}
}

func strictness(with string) int {
	switch with {
	case "date_trunc":
		return 1
	case "range":
		return 2
	case "partial":
		return 3
	case "fake":
		return 4
	case "hash":
		return 5
	case "null":
		return 6
	}
	return 7
}

// coarseness orders units; an unknown one is 0.
func coarseness(unit string) int {
	switch unit {
	case "hour":
		return 1
	case "day":
		return 2
	case "month":
		return 3
	case "year":
		return 4
	}
	return 0
}

// stricterDerived is "" for what is neither refused nor allowed by both.
func stricterDerived(a, b string) string {
	switch {
	case a == DerivedRefuse || b == DerivedRefuse:
		return DerivedRefuse
	case a == DerivedAllow && b == DerivedAllow:
		return DerivedAllow
	}
	return ""
}
