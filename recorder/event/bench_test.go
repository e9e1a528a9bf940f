package event

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/canonical"
	"github.com/weir-gateway/weir/internal/gate"
)

// sampleBody is what operation.requested holds for a common statement.
func sampleBody(text string) any {
	op := &gate.Operation{
		ID: "0197c3f2-0000-7000-8000-000000000001", Protocol: "postgres", Action: "select",
		Text: text, Fingerprint: "50fde20626009aba", Risks: []string{},
		SQL: &gate.SQL{
			Statements: []gate.Statement{{Action: "select", Text: text}},
			Parameters: []any{"42", nil},
			Tables:     []gate.Table{{Schema: "public", Name: "customers", Access: "read"}},
			Columns: []gate.Column{
				{Schema: "public", Table: "customers", Name: "id", Classes: []string{}, Use: "output"},
				{Schema: "public", Table: "customers", Name: "ssn", Classes: []string{"pii.ssn"}, Use: "output"},
				{Schema: "public", Table: "customers", Name: "email", Classes: []string{"pii.email"}, Use: "filter"},
			},
			Functions: []string{},
		},
	}
	principal := &gate.Principal{
		Subject: "agent-1", Issuer: "https://login.example/t/v2.0", Kind: gate.Agent,
		Roles: []string{"group:support", "role:reader"}, Auth: "oidc",
		Claims:     map[string]any{"aud": "weir", "azp": "x", "exp": 1.764e9, "iat": 1.764e9, "idtyp": "app"},
		OnBehalfOf: []gate.Actor{{Subject: "ada", Issuer: "https://login.example/t/v2.0"}},
	}
	target := &gate.Target{Name: "orders", Kind: "postgres", Labels: map[string]string{"env": "prod"}}
	return map[string]any{
		"operation": op,
		"decision": gate.Decision{ID: "d", Effect: gate.Allow, Revision: strings.Repeat("a", 64), Millis: 0.0625,
			Mask: []gate.Mask{{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}}, Rules: []string{"mask"}},
		"input": &gate.Input{Phase: gate.Operate, Principal: principal, Target: target, Operation: op,
			Approvals: []gate.Vote{}, Now: 1764000000123456789,
			Session: gate.SessionView{ID: "0197c3f2-0000-7000-8000-000000000000", Started: "2025-11-24T10:00:00Z", ClassesRead: []string{}}},
	}
}

func BenchmarkBody(b *testing.B) {
	body := sampleBody("select id, ssn, email from customers where id = $1 and email like $2")
	var enc canonical.Encoder
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, _, err = AppendBody(buf[:0], &enc, body, 256<<10); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(buf)))
	}
}

func BenchmarkBodyOfLargeText(b *testing.B) {
	body := sampleBody("insert into t values ('" + strings.Repeat("0123456789abcdef", 1<<16) + "')")
	var enc canonical.Encoder
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, _, err = AppendBody(buf[:0], &enc, body, 256<<10); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	body := sampleBody("select id, ssn, email from customers where id = $1 and email like $2")
	b.ReportAllocs()
	for b.Loop() {
		out, err := canonical.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
	}
}

func BenchmarkLargeText(b *testing.B) {
	body := sampleBody("insert into t values ('" + strings.Repeat("0123456789abcdef", 1<<16) + "')")
	b.ReportAllocs()
	for b.Loop() {
		out, err := canonical.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err = Shorten(out, 256<<10); err != nil {
			b.Fatal(err)
		}
	}
}

func sampleEvent(b testing.TB) *Event {
	body, err := canonical.Marshal(sampleBody("select id, ssn, email from customers where id = $1 and email like $2"))
	if err != nil {
		b.Fatal(err)
	}
	return &Event{ID: uuid.Must(uuid.NewV7()), Writer: uuid.New(), Seq: 7, Time: time.Now(), Kind: "operation.requested",
		Session: "s", Operation: "o", Target: "orders", Subject: "agent-1", Body: body}
}

func BenchmarkAppendAndLeaf(b *testing.B) {
	e := sampleEvent(b)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendCanonical(buf[:0])
		e.Prev = Leaf(buf)
	}
}

func BenchmarkParse(b *testing.B) {
	line := sampleEvent(b).AppendCanonical(nil)
	for name, read := range map[string]func([]byte) (*Event, error){"Parse": Parse, "Scan": Scan} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if _, err := read(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
