package gate

import (
	"context"
	"log/slog"
	"testing"

	"github.com/weir-gateway/weir/internal/canonical"
)

// encoding is a recorder that makes the bytes of each event and forgets them.
type encoding struct {
	enc canonical.Encoder
	buf []byte
}

func (r *encoding) Record(_ context.Context, e *Event) (err error) {
	r.buf, err = r.enc.Append(r.buf[:0], e.Body)
	return err
}
func (r *encoding) Begin(ctx context.Context, e *Event) (Receipt, error) {
	return handedOver, r.Record(ctx, e)
}
func (r *encoding) Handoff(ctx context.Context, e *Event) error { return r.Record(ctx, e) }
func (r *encoding) Payload(context.Context, *Payload) error     { return nil }

type allowing struct{ decision Decision }

func (p allowing) Decide(context.Context, *Input) (Decision, error) { return p.decision, nil }

// BenchmarkOperation is what the gate and the bytes of its events take of one
// statement that is decided at once.
func BenchmarkOperation(b *testing.B) {
	d := Decision{ID: NewID(), Effect: Allow, Revision: "50fde20626009aba50fde20626009aba", Millis: 0.0625, Rules: []string{"support"},
		Mask: []Mask{{Class: "pii.ssn", MaskSpec: MaskSpec{With: "partial", KeepLast: 4}}}}
	r := &encoding{}
	g, err := New(allowing{d}, &people{}, r, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	s := session()
	s.Target.Buffered = true
	s.Principal.Claims = map[string]any{"aud": "weir", "azp": "x", "exp": 1.764e9, "iat": 1.764e9, "idtyp": "app", "tid": "5f2c"}
	if _, err := g.Open(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		op := &Operation{
			Protocol: "postgres", Action: "select", Text: "select id, ssn, email from customers where id = $1", Risks: []string{},
			SQL: &SQL{
				Statements: []Statement{{Action: "select", Text: "select id, ssn, email from customers where id = $1"}},
				Parameters: []any{"42"}, Functions: []string{},
				Tables: []Table{{Schema: "public", Name: "customers", Access: "read"}},
				Columns: []Column{
					{Schema: "public", Table: "customers", Name: "id", Classes: []string{}, Use: "output"},
					{Schema: "public", Table: "customers", Name: "ssn", Classes: []string{"pii.ssn"}, Use: "output"},
				},
			},
		}
		if _, err := g.Check(b.Context(), s, op, nil); err != nil {
			b.Fatal(err)
		}
		if err := g.Complete(b.Context(), s, op.ID, Outcome{Status: "ok", Tag: "SELECT 1", Rows: 1, Bytes: 77, Millis: 1.5, Masked: map[string]int{"pii.ssn": 1}}); err != nil {
			b.Fatal(err)
		}
	}
}
