package drain

import (
	"context"
	"errors"
	"testing"
)

func TestDrain(t *testing.T) {
	g := New()
	if !g.Enter() || g.Stopping().Err() != nil {
		t.Fatal("a session is not let in")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := g.Drain(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("it did not wait for the session: %v", err)
	}
	if g.Enter() {
		t.Error("a session was let in while it drains")
	}
	if g.Stopping().Err() == nil {
		t.Error("nobody was told")
	}
	go g.Leave()
	if err := g.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.Drain(t.Context()); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestDrainWithoutSessions(t *testing.T) {
	if err := New().Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
