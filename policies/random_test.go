package policies

import (
	"encoding/json"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/gate"
)

// Few words, so that random inputs often agree, and rules often fire.
var words = rapid.SampledFrom([]string{"", "a", "b", "select", "agent", "pii.ssn", "é", "\xff"})

func some(t *rapid.T, label string) bool { return rapid.Bool().Draw(t, label) }

func word(t *rapid.T) string { return words.Draw(t, "word") }

func wordList(t *rapid.T) []string {
	if some(t, "nil") {
		return nil
	}
	return rapid.SliceOfN(words, 0, 3).Draw(t, "words")
}

// parsed is a random JSON value.
func parsed(t *rapid.T, depth int) any {
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return some(t, "flag")
	case 2:
		return json.Number(rapid.SampledFrom([]string{"0", "1", "1.5", "-7", "1e3"}).Draw(t, "number"))
	case 3, 4:
		return word(t)
	case 5:
		list := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "n") {
			list = append(list, parsed(t, depth-1))
		}
		return list
	default:
		return parsedObject(t, depth-1)
	}
}

func parsedObject(t *rapid.T, depth int) map[string]any {
	object := map[string]any{}
	for _, k := range []string{"a", "b"} {
		if some(t, "has") {
			object[k] = parsed(t, depth)
		}
	}
	return object
}

func randomPrincipal(t *rapid.T) *gate.Principal {
	p := &gate.Principal{
		Subject: word(t), Issuer: word(t), Kind: gate.Kind(rapid.SampledFrom([]string{"", "agent", "human", "service"}).Draw(t, "kind")),
		Roles: wordList(t), Auth: word(t),
	}
	if some(t, "claims") {
		p.Claims = parsedObject(t, 2)
	}
	for range rapid.IntRange(0, 2).Draw(t, "actors") {
		p.OnBehalfOf = append(p.OnBehalfOf, gate.Actor{Subject: word(t), Issuer: word(t)})
	}
	return p
}

func randomSQL(t *rapid.T) *gate.SQL {
	s := &gate.SQL{Functions: wordList(t), Settings: wordList(t), InTransaction: some(t, "tx")}
	for range rapid.IntRange(0, 2).Draw(t, "statements") {
		s.Statements = append(s.Statements, gate.Statement{Action: word(t), Text: word(t)})
	}
	for range rapid.IntRange(0, 2).Draw(t, "parameters") {
		s.Parameters = append(s.Parameters, rapid.SampledFrom([]any{nil, "a", "7"}).Draw(t, "parameter"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "tables") {
		s.Tables = append(s.Tables, gate.Table{Schema: word(t), Name: word(t), Access: rapid.SampledFrom([]string{"read", "write"}).Draw(t, "access")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "columns") {
		s.Columns = append(s.Columns, gate.Column{
			Schema: word(t), Table: word(t), Name: word(t), Classes: wordList(t), Paths: wordList(t),
			Use: rapid.SampledFrom([]string{"output", "filter", "write"}).Draw(t, "use"),
		})
	}
	return s
}

func randomHTTP(t *rapid.T) *gate.HTTP {
	h := &gate.HTTP{Method: word(t), Host: word(t), Path: word(t), Body: parsed(t, 3)}
	if some(t, "headers") {
		h.Headers = map[string]string{"a": word(t)}
	}
	if some(t, "query") {
		h.Query = map[string][]string{"a": wordList(t)}
	}
	return h
}

// randomInput is any input, also such as no gateway would make.
func randomInput(t *rapid.T) *gate.Input {
	in := &gate.Input{
		Phase: gate.Phase(rapid.SampledFrom([]string{"connect", "operation"}).Draw(t, "phase")),
		Session: gate.SessionView{
			ID: word(t), Started: "2026-01-02T03:04:05Z", Client: gate.Client{Address: word(t), TLS: word(t), Application: word(t), SignIn: word(t)},
			Database: word(t), Operations: rapid.IntRange(0, 2).Draw(t, "operations"), ClassesRead: wordList(t),
		},
		Now: rapid.Int64Range(0, 3).Draw(t, "now"),
	}
	if some(t, "settings") {
		in.Session.Settings, in.Session.Risks = map[string]string{"a": word(t)}, wordList(t)
	}
	if some(t, "principal") {
		in.Principal = randomPrincipal(t)
	}
	if some(t, "target") {
		in.Target = &gate.Target{Name: word(t), Kind: word(t)}
		if some(t, "labels") {
			in.Target.Labels = map[string]string{"a": word(t)}
		}
	}
	if some(t, "operation") {
		in.Operation = &gate.Operation{
			ID: word(t), Protocol: word(t), Action: word(t), Text: word(t), Fingerprint: word(t), Risks: wordList(t),
			PrepareOnly: some(t, "prepare"),
		}
		if some(t, "sql") {
			in.Operation.SQL = randomSQL(t)
		}
		if some(t, "http") {
			in.Operation.HTTP = randomHTTP(t)
		}
	}
	for range rapid.IntRange(0, 1).Draw(t, "votes") {
		in.Approvals = append(in.Approvals, gate.Vote{
			Approver: *randomPrincipal(t), Approve: some(t, "approve"), Reason: word(t),
			At: time.Unix(rapid.Int64Range(0, 3).Draw(t, "at"), 5000).UTC(),
		})
	}
	return in
}

// varied is an input with a few pieces taken from another one, so that the two
// agree in most.
func varied(t *rapid.T, a *gate.Input) *gate.Input {
	b := randomInput(t)
	out := *a
	take := func() bool { return rapid.IntRange(0, 4).Draw(t, "take") == 0 }
	if take() {
		out.Phase = b.Phase
	}
	if take() {
		out.Approvals = b.Approvals
	}
	if take() {
		out.Now = b.Now
	}
	if take() {
		out.Session.ClassesRead, out.Session.Client = b.Session.ClassesRead, b.Session.Client
	}
	if take() {
		out.Session.Settings, out.Session.Risks = b.Session.Settings, b.Session.Risks
	}
	if take() {
		out.Session.ID, out.Session.Operations = b.Session.ID, b.Session.Operations
	}
	if take() {
		out.Target = b.Target
	}
	switch {
	case take():
		out.Principal = b.Principal
	case a.Principal != nil && b.Principal != nil:
		p := *a.Principal
		if take() {
			p.Claims, p.Roles = b.Principal.Claims, b.Principal.Roles
		}
		if take() {
			p.Subject = b.Principal.Subject
		}
		out.Principal = &p
	}
	switch {
	case take():
		out.Operation = b.Operation
	case a.Operation != nil && b.Operation != nil:
		op := *a.Operation
		if take() {
			op.ID, op.Text = b.Operation.ID, b.Operation.Text
		}
		if take() {
			op.Risks = b.Operation.Risks
		}
		if take() {
			op.SQL = b.Operation.SQL
		}
		if take() {
			op.HTTP = b.Operation.HTTP
		}
		out.Operation = &op
	}
	return &out
}
