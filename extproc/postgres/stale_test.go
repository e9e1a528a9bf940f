package postgres

import (
	"context"
	"testing"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// Somebody with two sessions changes in one of them what the names in the other's
// statements lead to.
func TestChangedFromAnotherSession(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.classify(shopClasses)
	w.rules = maskPII
	address := w.serve(server.Addr())
	one, two := connect(t, dsn(address)), connect(t, dsn(address))
	ctx := context.Background()
	exec := func(text string) {
		t.Helper()
		if _, err := two.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE VIEW v AS SELECT id, name AS s FROM customers")
	var s string
	if err := one.QueryRow(ctx, "SELECT upper(s) FROM v WHERE id = 1").Scan(&s); err != nil || s != "NAME 1" {
		t.Fatalf("%q, %v", s, err)
	}
	exec("CREATE OR REPLACE VIEW v AS SELECT id, ssn AS s FROM customers")
	if err := one.QueryRow(ctx, "SELECT upper(s) FROM v WHERE id = 1").Scan(&s); err == nil && leaks([]byte(s)) {
		t.Errorf("a view that was replaced: %q", s)
	}
	exec("CREATE OR REPLACE VIEW v AS SELECT id, name AS s FROM customers")
	if err := one.QueryRow(ctx, "SELECT upper(s) FROM v WHERE id = 1").Scan(&s); err != nil {
		t.Errorf("as it was: %v", err)
	}
	// In a transaction it is seen when that ends.
	exec("BEGIN")
	exec("CREATE OR REPLACE VIEW v AS SELECT id, ssn AS s FROM customers")
	exec("SELECT 1")
	exec("COMMIT")
	if err := one.QueryRow(ctx, "SELECT upper(s) FROM v WHERE id = 1").Scan(&s); err == nil && leaks([]byte(s)) {
		t.Errorf("a view that was replaced in a transaction: %q", s)
	}
	if leaks(w.ledger.stream(gate.ResponseStream)) {
		t.Error("a protected value was delivered")
	}
}
