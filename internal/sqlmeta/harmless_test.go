package sqlmeta

import "testing"

// A function of the server's own is none where a search path may find one of users' first.
func TestHarmless(t *testing.T) {
	const touch = "BEGIN NEW.updated := now(); NEW.day := NEW.updated::date; NEW.n = NEW.n + 1; RETURN NEW; END"
	for _, c := range []struct {
		name, language, source string
		users                  []string
		want                   bool
	}{
		{"the server's own", "plpgsql", touch, nil, true},
		{"others of users'", "plpgsql", touch, []string{"then_", "operator ###", "cast mood"}, true},
		{"a function", "plpgsql", touch, []string{"now"}, false},
		{"an operator", "plpgsql", touch, []string{"operator +"}, false},
		{"a cast", "plpgsql", touch, []string{"cast date"}, false},
		{"a cast that is not written", "plpgsql", touch, []string{"cast from mood"}, false},
		{"a query", "plpgsql", "BEGIN NEW.a := (SELECT 1); RETURN NEW; END", nil, false},
		{"another language", "sql", touch, nil, false},
	} {
		users := map[string]bool{}
		for _, u := range c.users {
			users[u] = true
		}
		if got := Harmless(c.language, c.source, users); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}
