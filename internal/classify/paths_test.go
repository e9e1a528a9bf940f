package classify

import "testing"

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"$.ssn", "$.ssn", true}, {"$.ssn", "$.a.ssn", false}, {"$..ssn", "$.a[*].ssn", true}, {"$..ssn", "$.a.ssn.part", true}, {"$.a", "$.a.b", true},
		{"$.a.b", "$.a", false}, {"$.a[*].b", "$.a[*].b", true}, {"$.a[*].b", "$.a.b", false}, {"$['a b']", "$['a b']", true}, {`$["a b"].c`, "$['a b'].c", true},
		{"$..a..b", "$.x.a.y.b", true}, {"$..a..b", "$.b.a", false}, {"$.card", "$..card", false}, {"$..card", "$..card", true},
	} {
		if got := covers(stepsOf(tt.pattern), stepsOf(tt.path)); got != tt.want {
			t.Errorf("%s covers %s: %v", tt.pattern, tt.path, got)
		}
	}
}
