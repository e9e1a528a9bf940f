package gate

import (
	"errors"
	"slices"
	"testing"
)

// What is only prepared is refused when policy denies it, and does not wait.
func TestPrepare(t *testing.T) {
	for _, answer := range []Decision{{}, held, allow} {
		f := newFixture(t, answer)
		op := statement("drop table x")
		d, _, err := f.gate.Prepare(t.Context(), session(), op)
		if err != nil || d.Effect != answer.Effect {
			t.Errorf("got %v, %v", d.Effect, err)
		}
		if got := f.ledger.kinds(); !slices.Equal(got, []EventKind{OperationRequested}) || len(f.people.asked) > 0 {
			t.Errorf("recorded %v, asked %d", got, len(f.people.asked))
		}
		if !op.PrepareOnly || !f.policy.inputs[0].Operation.PrepareOnly {
			t.Error("policy was not told that it is only prepared")
		}
	}
	f := newFixture(t, allow)
	f.ledger.err = errors.New("disk full")
	if _, _, err := f.gate.Prepare(t.Context(), session(), statement("select 1")); !errors.Is(err, ErrRecord) {
		t.Errorf("got %v", err)
	}
}
