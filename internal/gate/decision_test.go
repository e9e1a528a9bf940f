package gate

import "testing"

// What two rules advise alike is said once.
func TestHint(t *testing.T) {
	d := Decision{Deny: []Denial{
		{Code: "a", Hint: "Send one statement."}, {Code: "b"}, {Code: "c", Hint: "Send one statement."}, {Code: "d", Hint: "Name the table."},
	}}
	if got, want := d.Hint(), "Send one statement. Name the table."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
