package policies

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-gateway/weir/internal/gate"
)

// classified is a classification in which these targets have something.
type classified []string

func (c classified) Targets() []string { return c }
func (c classified) Revision() string  { return "classification-1" }

// bundleOf writes a bundle: name, text, name, text.
func bundleOf(t testing.TB, namesAndTexts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i+1 < len(namesAndTexts); i += 2 {
		write(t, dir, namesAndTexts[i], namesAndTexts[i+1])
	}
	return dir
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// engineOf loads a bundle at target "orders", where data is classified.
func engineOf(t testing.TB, namesAndTexts ...string) *Engine {
	t.Helper()
	return engineWith(t, Config{Bundle: bundleOf(t, namesAndTexts...)})
}

func engineWith(t testing.TB, cfg Config) *Engine {
	t.Helper()
	e, err := New(t.Context(), cfg, Deps{Classification: func() Classification { return classified{"orders"} }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// agentInput is an agent's SELECT.
func agentInput() *gate.Input {
	return &gate.Input{
		Phase: gate.Operate,
		Principal: &gate.Principal{
			Subject: "agent-1", Issuer: "https://login.example", Kind: gate.Agent, Roles: []string{"group:agents"},
			Claims: map[string]any{"team": "shop", "azp": "agent-1"}, OnBehalfOf: []gate.Actor{}, Auth: "oidc",
		},
		Target: &gate.Target{Name: "orders", Kind: "postgres", Labels: map[string]string{"env": "prod"}},
		Session: gate.SessionView{
			ID: "s1", Started: "2026-01-02T03:04:05Z", Client: gate.Client{Address: "10.0.0.1", TLS: "1.3", Application: "psql"},
			Database: "shop", ClassesRead: []string{},
		},
		Operation: &gate.Operation{
			ID: "o1", Protocol: "postgres", Action: "select", Text: "select ssn from customers where id = $1",
			Fingerprint: "f1", Risks: []string{},
			SQL: &gate.SQL{
				Statements: []gate.Statement{{Action: "select", Text: "select ssn from customers where id = $1"}},
				Parameters: []any{"7"},
				Tables:     []gate.Table{{Schema: "public", Name: "customers", Access: "read"}},
				Columns: []gate.Column{
					{Schema: "public", Table: "customers", Name: "ssn", Classes: []string{"pii.ssn"}, Use: "output"},
					{Schema: "public", Table: "customers", Name: "id", Classes: []string{}, Use: "filter"},
				},
				Functions: []string{},
			},
		},
		Approvals: []gate.Vote{}, Now: 1767323045000000000,
	}
}

func decide(t testing.TB, e *Engine, in *gate.Input) gate.Decision {
	t.Helper()
	d, err := e.Decide(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
