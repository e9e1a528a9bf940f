package policies

import (
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// field is one field of what policy is shown, or an object of fields.
type field struct {
	name   string
	fields []field // of an object

	// presence of an object; nil is always there.
	presence func(in *gate.Input) presence
	// write writes the value, and says false where the field is absent.
	write func(in *gate.Input, to sink) bool
	// parsed is set for values that are free in shape, so that a path may go on
	// below the field.
	parsed func(in *gate.Input) (any, bool)
	// members is set for lists of which a rule may read one member of each
	// element, and no more: it writes the list of these.
	members map[string]func(in *gate.Input, to sink) bool
}

// presence says how an object is there.
type presence uint8

const (
	absent presence = iota
	isNull
	present
)

func thereIf(ok bool, otherwise presence) presence {
	if ok {
		return present
	}
	return otherwise
}

// inputFields describes gate.Input field by field, equal to its JSON form
// (proved by a test). A field that is added there must be added here.
func inputFields() []field {
	return []field{
		text("phase", func(in *gate.Input) string { return string(in.Phase) }),
		{name: "principal", fields: principalFields(), presence: func(in *gate.Input) presence {
			return thereIf(in.Principal != nil, isNull)
		}},
		{name: "target", fields: targetFields(), presence: func(in *gate.Input) presence {
			return thereIf(in.Target != nil, isNull)
		}},
		{name: "session", fields: sessionFields()},
		{name: "operation", fields: operationFields(), presence: func(in *gate.Input) presence {
			return thereIf(in.Operation != nil, absent)
		}},
		always("approvals", func(in *gate.Input, to sink) { writeVotes(to, in.Approvals) }),
		always("now", func(in *gate.Input, to sink) { to.integer(in.Now) }),
	}
}

func principalFields() []field {
	with := func(f field) field {
		return guarded(f, func(in *gate.Input) bool { return in.Principal != nil })
	}
	return []field{
		with(text("subject", func(in *gate.Input) string { return in.Principal.Subject })),
		with(text("issuer", func(in *gate.Input) string { return in.Principal.Issuer })),
		with(text("kind", func(in *gate.Input) string { return string(in.Principal.Kind) })),
		with(list("roles", func(in *gate.Input) []string { return in.Principal.Roles })),
		with(free("claims", func(in *gate.Input) (any, bool) { return in.Principal.Claims, true })),
		with(always("on_behalf_of", func(in *gate.Input, to sink) { writeActors(to, in.Principal.OnBehalfOf) })),
		with(text("auth", func(in *gate.Input) string { return in.Principal.Auth })),
	}
}

func targetFields() []field {
	with := func(f field) field {
		return guarded(f, func(in *gate.Input) bool { return in.Target != nil })
	}
	return []field{
		with(text("name", func(in *gate.Input) string { return in.Target.Name })),
		with(text("kind", func(in *gate.Input) string { return in.Target.Kind })),
		with(free("labels", func(in *gate.Input) (any, bool) { return in.Target.Labels, true })),
	}
}

func sessionFields() []field {
	return []field{
		text("id", func(in *gate.Input) string { return in.Session.ID }),
		text("started", func(in *gate.Input) string { return in.Session.Started }),
		{name: "client", fields: []field{
			text("address", func(in *gate.Input) string { return in.Session.Client.Address }),
			optional("tls", func(in *gate.Input) string { return in.Session.Client.TLS }),
			optional("application", func(in *gate.Input) string { return in.Session.Client.Application }),
			optional("sign_in", func(in *gate.Input) string { return in.Session.Client.SignIn }),
		}},
		optional("database", func(in *gate.Input) string { return in.Session.Database }),
		always("operations", func(in *gate.Input, to sink) { to.integer(int64(in.Session.Operations)) }),
		list("classes_read", func(in *gate.Input) []string { return in.Session.ClassesRead }),
		optional("replication", func(in *gate.Input) string { return in.Session.Replication }),
		free("settings", func(in *gate.Input) (any, bool) { return in.Session.Settings, len(in.Session.Settings) > 0 }),
		listIfAny("risks", func(in *gate.Input) []string { return in.Session.Risks }),
	}
}

func operationFields() []field {
	with := func(f field) field {
		return guarded(f, func(in *gate.Input) bool { return in.Operation != nil })
	}
	common := []field{
		with(text("id", func(in *gate.Input) string { return in.Operation.ID })),
		with(text("protocol", func(in *gate.Input) string { return in.Operation.Protocol })),
		with(text("action", func(in *gate.Input) string { return in.Operation.Action })),
		with(text("text", func(in *gate.Input) string { return in.Operation.Text })),
		with(optional("fingerprint", func(in *gate.Input) string { return in.Operation.Fingerprint })),
		with(list("risks", func(in *gate.Input) []string { return in.Operation.Risks })),
		with(field{name: "prepare_only", write: func(in *gate.Input, to sink) bool {
			if in.Operation.PrepareOnly {
				to.flag(true)
			}
			return in.Operation.PrepareOnly
		}}),
	}
	return append(append(common, sqlFields()...), httpFields()...)
}

func sqlFields() []field {
	with := func(f field) field {
		return guarded(f, func(in *gate.Input) bool { return in.Operation != nil && in.Operation.SQL != nil })
	}
	return []field{
		with(statements()),
		with(free("parameters", func(in *gate.Input) (any, bool) { return in.Operation.Parameters, true })),
		with(always("tables", func(in *gate.Input, to sink) { writeTables(to, in.Operation.Tables) })),
		with(always("columns", func(in *gate.Input, to sink) { writeColumns(to, in.Operation.Columns) })),
		with(list("functions", func(in *gate.Input) []string { return in.Operation.Functions })),
		with(listIfAny("settings", func(in *gate.Input) []string { return in.Operation.Settings })),
		with(always("in_transaction", func(in *gate.Input, to sink) { to.flag(in.Operation.InTransaction) })),
	}
}

func httpFields() []field {
	with := func(f field) field {
		return guarded(f, func(in *gate.Input) bool { return in.Operation != nil && in.Operation.HTTP != nil })
	}
	return []field{
		with(text("method", func(in *gate.Input) string { return in.Operation.Method })),
		with(text("host", func(in *gate.Input) string { return in.Operation.Host })),
		with(text("path", func(in *gate.Input) string { return in.Operation.Path })),
		with(free("query", func(in *gate.Input) (any, bool) { return in.Operation.Query, true })),
		with(free("headers", func(in *gate.Input) (any, bool) { return in.Operation.Headers, true })),
		with(free("body", func(in *gate.Input) (any, bool) { return in.Operation.Body, true })),
	}
}

// statements have their texts with them, which hardly any rule reads and which
// differ from one to the next.
func statements() field {
	f := always("statements", func(in *gate.Input, to sink) { writeStatements(to, in.Operation.Statements) })
	f.members = map[string]func(*gate.Input, sink) bool{"action": func(in *gate.Input, to sink) bool {
		writeActions(to, in.Operation.Statements)
		return true
	}}
	return f
}

func writeActions(to sink, statements []gate.Statement) {
	if statements == nil {
		to.null()
		return
	}
	to.list(len(statements))
	for i := range statements {
		to.text(statements[i].Action)
	}
}

func writeVotes(to sink, votes []gate.Vote) {
	if votes == nil {
		to.null()
		return
	}
	to.list(len(votes))
	for i := range votes {
		v := &votes[i]
		to.object(4)
		to.name("approver")
		writePrincipal(to, &v.Approver)
		to.name("approve")
		to.flag(v.Approve)
		to.name("reason")
		to.text(v.Reason)
		to.name("at")
		to.text(v.At.Format(time.RFC3339Nano))
	}
}

func writePrincipal(to sink, p *gate.Principal) {
	to.object(7)
	to.name("subject")
	to.text(p.Subject)
	to.name("issuer")
	to.text(p.Issuer)
	to.name("kind")
	to.text(string(p.Kind))
	to.name("roles")
	texts(to, p.Roles)
	to.name("claims")
	to.value(p.Claims)
	to.name("on_behalf_of")
	writeActors(to, p.OnBehalfOf)
	to.name("auth")
	to.text(p.Auth)
}

func writeActors(to sink, actors []gate.Actor) {
	if actors == nil {
		to.null()
		return
	}
	to.list(len(actors))
	for _, a := range actors {
		if a.Issuer == "" {
			pairs(to, "subject", a.Subject)
			continue
		}
		pairs(to, "subject", a.Subject, "issuer", a.Issuer)
	}
}

func writeStatements(to sink, statements []gate.Statement) {
	if statements == nil {
		to.null()
		return
	}
	to.list(len(statements))
	for _, s := range statements {
		pairs(to, "action", s.Action, "text", s.Text)
	}
}

func writeTables(to sink, tables []gate.Table) {
	if tables == nil {
		to.null()
		return
	}
	to.list(len(tables))
	for _, t := range tables {
		pairs(to, "schema", t.Schema, "name", t.Name, "access", t.Access)
	}
}

func writeColumns(to sink, columns []gate.Column) {
	if columns == nil {
		to.null()
		return
	}
	to.list(len(columns))
	for i := range columns {
		c := &columns[i]
		size := 5
		if len(c.Paths) > 0 {
			size++
		}
		to.object(size)
		to.name("schema")
		to.text(c.Schema)
		to.name("table")
		to.text(c.Table)
		to.name("name")
		to.text(c.Name)
		to.name("classes")
		texts(to, c.Classes)
		to.name("use")
		to.text(c.Use)
		if len(c.Paths) > 0 {
			to.name("paths")
			texts(to, c.Paths)
		}
	}
}
