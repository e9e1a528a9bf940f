package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/postgres"
)

func query(t *testing.T, s *postgres.Server, database, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := s.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var got string
	if err := conn.QueryRow(ctx, sql).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func TestThrowAwayServer(t *testing.T) {
	s := postgres.Test(t, postgres.Options{
		Databases: []string{"shop"},
		SQL:       []string{"create table t (a text); insert into t values ('x')"},
		Settings:  map[string]string{"application_name": "it's set"},
	})
	if got := query(t, s, "shop", "select a from t"); got != "x" {
		t.Errorf("got %q", got)
	}
	if got := query(t, s, "shop", "show application_name"); got != "it's set" {
		t.Errorf("setting %q", got)
	}
}
