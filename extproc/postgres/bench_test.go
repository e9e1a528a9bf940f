package postgres

import (
	"bytes"
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// A masked row costs no memory in steady state.
func TestRewriteDoesNotAllocate(t *testing.T) {
	p, frame := widePlan(t)
	dst, orig := make([]byte, 0, 4096), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		dst, _ = p.rewrite(dst[:0], frame)
		orig = p.originals(orig[:0], frame)
	}); n > 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func widePlan(t testing.TB) (*plan, []byte) {
	values := make([][]byte, 8)
	for i := range values {
		values[i] = bytes.Repeat([]byte("wide "), 10)
	}
	frame, _ := (&pgproto3.DataRow{Values: values}).Encode(nil)
	p := &plan{cells: make([]mask.Cell, 8), counts: make([]int, 8), nulls: make([]bool, 8)}
	for i, spec := range []mask.Spec{{With: mask.Partial, KeepLast: 4}, {With: mask.Redact}} {
		cell, err := sharedMasker().Cell(spec, 25, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.cells[2+3*i] = cell
	}
	return p, frame
}

func BenchmarkRewrite(b *testing.B) {
	p, frame := widePlan(b)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	var dst, orig []byte
	for b.Loop() {
		dst, _ = p.rewrite(dst[:0], frame)
		orig = p.originals(orig[:0], frame)
	}
}

// silent records nothing, so that the session is what is measured.
type silent struct{}

func (silent) Record(context.Context, *gate.Event) error { return nil }
func (silent) Begin(context.Context, *gate.Event) (gate.Receipt, error) {
	return func(context.Context) error { return nil }, nil
}
func (silent) Handoff(context.Context, *gate.Event) error   { return nil }
func (silent) Payload(context.Context, *gate.Payload) error { return nil }

// BenchmarkSession measures statements and rows through the gateway (both ways of
// the tunnel are plain TCP) and without it.
func BenchmarkSession(b *testing.B) {
	w, server := realWorld(b, pgserver.Options{})
	if err := server.Exec(context.Background(), "shop", `
		CREATE TABLE wide AS SELECT i, repeat('a', 50) a, repeat('b', 50) b, repeat('c', 50) c, repeat('d', 50) d, repeat('e', 50) e, repeat('f', 50) f, repeat('g', 50) g
			FROM generate_series(1, 1000) i;
		GRANT ALL ON wide TO weir_orders`); err != nil {
		b.Fatal(err)
	}
	w.recorder = silent{}
	through := dsn(w.serve(server.Addr()))
	m := newWorld(b)
	m.deps, m.cfg, m.recorder = w.deps, w.cfg, silent{}
	m.classify(classes{"public.wide.c": {"pii"}, "public.wide.f": {"pii"}})
	m.rules = func(*gate.Input) gate.Decision {
		return gate.Decision{Effect: gate.Allow, Mask: []gate.Mask{{Class: "pii", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}}}
	}
	masked := dsn(m.serve(server.Addr()))
	for _, way := range []struct{ name, dsn string }{
		{"direct", server.DSNFor("weir_orders", "upstream-secret", "shop")}, {"gateway", through}, {"masked", masked},
	} {
		conn, err := pgx.Connect(context.Background(), way.dsn)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close(context.Background())
		b.Run("select/"+way.name, func(b *testing.B) {
			for b.Loop() {
				var total any
				if err := conn.QueryRow(context.Background(), "SELECT name FROM customers WHERE id = $1", 7).Scan(&total); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("wide/"+way.name, func(b *testing.B) {
			for b.Loop() {
				rows := conn.PgConn().ExecParams(context.Background(), "SELECT * FROM wide", nil, nil, nil, nil)
				n := 0
				for rows.NextRow() {
					n++
				}
				if _, err := rows.Close(); err != nil || n != 1000 {
					b.Fatal(n, err)
				}
			}
			b.SetBytes(1000 * 400)
		})
	}
}
