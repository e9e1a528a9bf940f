package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// replicates is a rule as docs/postgres.md has it: one program may replicate.
const replicates = `package weir.rules.replicates

import data.weir.lib
import rego.v1

cdc if input.principal.subject == "cdc"

waive contains "replication_connection" if {
	lib.connects
	cdc
}

waive contains code if {
	some code in {"replication", "opaque"}
	cdc
}

allow if {
	cdc
	input.operation.action == "replication"
}
`

// What a rule has to waive is what a client of a target with classified data gets:
// everything raw, or nothing.
func TestReplication(t *testing.T) {
	w := own(t, stage.Options{Postgres: func(o *postgres.Options) {
		o.Settings["wal_level"] = "logical"
		o.HBA = []string{"hostssl all all 127.0.0.1/32 scram-sha-256", "hostssl replication all 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256"}
		o.SQL = append(o.SQL, "ALTER ROLE weir_shop REPLICATION")
	}})
	dial := func(token, kind string) (*pgconn.PgConn, error) {
		var cfg *pgx.ConnConfig
		_, err := w.dial(context.Background(), token, func(c *pgx.ConnConfig) {
			c.RuntimeParams["replication"] = kind
			cfg = c
			c.ConnectTimeout = 0
			c.ValidateConnect = func(context.Context, *pgconn.PgConn) error { return errAsked }
		})
		if !errors.Is(err, errAsked) {
			return nil, err
		}
		cfg.ValidateConnect = nil
		return pgconn.ConnectConfig(t.Context(), &cfg.Config)
	}
	privacy, masked := w.mint(t, "cdc", app("privacy")), w.mint(t, "cdc", app("support"))
	for _, kind := range []string{"database", "true"} {
		if _, err := dial(privacy, kind); refused(t, err).Code != "42501" {
			t.Errorf("replication=%s without a rule: %v", kind, err)
		}
	}
	write(t, filepath.Join(w.Path("policy"), "replicates.rego"), replicates)
	soon(t, "the rule holds", func() bool {
		conn, err := dial(privacy, "true")
		if err == nil {
			_ = conn.Close(context.Background())
		}
		return err == nil
	})
	if _, err := dial(w.agent(t), "database"); refused(t, err).Code != "42501" {
		t.Errorf("somebody else: %v", err)
	}
	const canary = "999-88-7777"
	changes := func(token string) (*pgconn.PgConn, error) {
		conn, err := dial(token, "database")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		const slot = "CREATE_REPLICATION_SLOT cdc TEMPORARY LOGICAL test_decoding (SNAPSHOT 'nothing')"
		if _, err := conn.Exec(t.Context(), slot).ReadAll(); err != nil {
			t.Skipf("this PostgreSQL has no test_decoding: %v", err)
		}
		return conn, begins(conn, "START_REPLICATION SLOT cdc LOGICAL 0/0")
	}
	t.Run("logical, where something is masked", func(t *testing.T) {
		conn, err := changes(masked)
		if e := refused(t, err); e.Code != "42501" {
			t.Error(err)
		}
		_ = conn.Close(context.Background())
	})
	t.Run("logical", func(t *testing.T) {
		conn, err := changes(privacy)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Postgres.Exec(t.Context(), "shop", "UPDATE customers SET ssn = '"+canary+"' WHERE id = 7"); err != nil {
			t.Fatal(err)
		}
		streams(t, conn, canary)
	})
	t.Run("physical", func(t *testing.T) {
		conn, err := dial(privacy, "true")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		system, err := conn.Exec(t.Context(), "IDENTIFY_SYSTEM").ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if err := begins(conn, fmt.Sprintf("START_REPLICATION PHYSICAL %s TIMELINE %s", system[0].Rows[0][2], system[0].Rows[0][1])); err != nil {
			t.Fatal(err)
		}
		if err := w.Postgres.Exec(t.Context(), "shop", "UPDATE customers SET ssn = '000-88-6666' WHERE id = 8"); err != nil {
			t.Fatal(err)
		}
		streams(t, conn, "88-666") // what stays of the row is not written again
	})
}

var errAsked = errors.New("asked enough")

// begins sends a command that streams, and reads up to its first data.
func begins(conn *pgconn.PgConn, command string) error {
	conn.Frontend().Send(&pgproto3.Query{String: command})
	if err := conn.Frontend().Flush(); err != nil {
		return err
	}
	for {
		m, err := conn.ReceiveMessage(context.Background())
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.CopyBothResponse:
			return nil
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		}
	}
}

// streams reads a stream until a piece of it holds a word.
func streams(t *testing.T, conn *pgconn.PgConn, word string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		m, err := conn.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := m.(*pgproto3.CopyData); ok && bytes.Contains(data.Data, []byte(word)) {
			return
		}
	}
}
