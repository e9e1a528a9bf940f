package replay

import (
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/web"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func event(t *testing.T, kind gate.EventKind, op string, body any) web.ReplayItem {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return web.ReplayItem{At: start, Kind: string(kind), Operation: op, Body: raw}
}

func delivered(t *testing.T, op string, messages ...pgproto3.BackendMessage) web.ReplayItem {
	t.Helper()
	var data []byte
	for _, m := range messages {
		var err error
		if data, err = m.Encode(data); err != nil {
			t.Fatal(err)
		}
	}
	return web.ReplayItem{At: start, Kind: "payload", Operation: op, Stream: gate.ResponseStream, Data: data}
}

func list(items []web.ReplayItem, failure error) iter.Seq2[web.ReplayItem, error] {
	return func(yield func(web.ReplayItem, error) bool) {
		for _, i := range items {
			if !yield(i, nil) {
				return
			}
		}
		if failure != nil {
			yield(web.ReplayItem{}, failure)
		}
	}
}

func TestPrint(t *testing.T) {
	select1 := gate.Operation{Protocol: "postgres", Text: "select id, ssn from customers", SQL: &gate.SQL{Parameters: []any{"1"}}}
	drop := gate.Operation{Protocol: "postgres", Text: "drop table x\x1b[2J", SQL: &gate.SQL{}}
	get := gate.Operation{Protocol: "http", Text: "GET /customers", HTTP: &gate.HTTP{}}
	items := []web.ReplayItem{
		event(t, gate.SessionOpened, "", map[string]any{
			"principal": gate.Principal{Subject: "agent-1", Kind: gate.Agent, Issuer: "https://issuer", OnBehalfOf: []gate.Actor{{Subject: "ann"}}},
			"target":    gate.Target{Name: "orders", Kind: "postgres"}, "client": gate.Client{Address: "127.0.0.1:5", TLS: "TLS 1.3", Application: "psql"},
			"database": "shop", "decision": gate.Decision{Revision: "0123456789abcdef"},
		}),
		event(t, gate.OperationRequested, "1", map[string]any{"operation": select1, "decision": gate.Decision{ID: "d1", Effect: gate.Allow}}),
		delivered(t, "1",
			&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("id"), DataTypeOID: 23, Format: 1}, {Name: []byte("ssn"), DataTypeOID: 25}, {Name: []byte("note"), DataTypeOID: 25}}},
			&pgproto3.DataRow{Values: [][]byte{{0, 0, 0, 42}, []byte("***-**-6789"), nil}},
			&pgproto3.DataRow{Values: [][]byte{{0, 0, 0, 43}, []byte("***-**-0000"), []byte("x")}},
			&pgproto3.CommandComplete{CommandTag: []byte("SELECT 2")}),
		event(t, gate.OperationCompleted, "1", gate.Outcome{Status: "ok", Tag: "SELECT 2", Rows: 2, Bytes: 99, Millis: 1.25, Masked: map[string]int{"pii.ssn": 2}}),
		event(t, gate.ApprovalRequested, "2", gate.Approval{ID: "a1", Operation: drop, Needs: []gate.Requirement{{Rule: "ddl", Approvers: []string{"group:dba"}, Required: 1}}}),
		event(t, gate.ApprovalVoted, "2", map[string]any{"approval": "a1", "vote": gate.Vote{Approver: gate.Principal{Subject: "bob"}, Reason: "no"}}),
		event(t, gate.ApprovalResolved, "2", map[string]any{"approval": "a1", "state": gate.Refused}),
		event(t, gate.OperationRequested, "2", map[string]any{"operation": drop, "decision": gate.Decision{ID: "d2", Deny: []gate.Denial{{Code: "approval_denied", Message: "refused"}}}}),
		event(t, gate.OperationRequested, "3", map[string]any{"operation": get, "decision": gate.Decision{ID: "d3", Effect: gate.Allow}}),
		{At: start, Kind: "payload", Operation: "3", Stream: gate.ResponseStream, Data: []byte("HTTP/1.1 200 OK\n\n{}")},
		{At: start, Kind: "payload", Operation: "3", Stream: gate.RequestStream, Data: []byte("not shown")},
		event(t, gate.OperationCompleted, "3", gate.Outcome{Status: "aborted", Error: "client left"}),
		event(t, gate.SessionClosed, "", gate.Closing{Reason: "client left", Operations: 3, Refused: 1}),
	}
	var out strings.Builder
	if err := Print(&out, list(items, nil), Options{}); err != nil {
		t.Fatal(err)
	}
	want := `03:04:05.000  agent-1 (agent) opened postgres on orders, database shop
              on 2026-01-02 from 127.0.0.1:5, TLS 1.3, psql
              through ann
              issuer https://issuer, policy 0123456789ab

03:04:05.000  select id, ssn from customers
              with ["1"]
              allowed (decision d1)
              │ id | ssn         | note
              │ 42 | ***-**-6789 | ∅
              │ 43 | ***-**-0000 | x
              ok SELECT 2; 2 rows, 99 bytes, 1.2 ms; pii.ssn masked in 2

03:04:05.000  HELD for approval a1
              drop table x�[2J
              rule ddl wants 1 of group:dba
03:04:05.000  refused by bob: no
03:04:05.000  approval a1 is denied

03:04:05.000  drop table x�[2J
              DENIED: refused (approval_denied) (decision d2)

03:04:05.000  GET /customers
              allowed (decision d3)
              │ HTTP/1.1 200 OK
              │ 
              │ {}
              aborted: client left; 0 rows, 0 bytes, 0.0 ms

03:04:05.000  closed: client left; 3 operations, 1 refused
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestPrintLimitsRows(t *testing.T) {
	rows := []pgproto3.BackendMessage{&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("n")}}}}
	for range 5 {
		rows = append(rows, &pgproto3.DataRow{Values: [][]byte{[]byte("7")}})
	}
	items := []web.ReplayItem{
		event(t, gate.OperationRequested, "1", map[string]any{"operation": gate.Operation{Protocol: "postgres"}}),
		delivered(t, "1", rows...),
		event(t, gate.OperationCompleted, "1", gate.Outcome{}),
	}
	var out strings.Builder
	if err := Print(&out, list(items, nil), Options{Rows: 2}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "│ 7") != 2 || !strings.Contains(got, "3 more rows") {
		t.Errorf("got %s", got)
	}
}

func TestPrintFailsWhenTheRecordBreaksOff(t *testing.T) {
	failure := errors.New("ClickHouse went away")
	if err := Print(&strings.Builder{}, list(nil, failure), Options{}); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	broken := web.ReplayItem{Kind: string(gate.SessionOpened), Body: json.RawMessage(`{"principal":`)}
	if err := Print(&strings.Builder{}, list([]web.ReplayItem{broken}, nil), Options{}); err == nil {
		t.Error("a broken event was taken")
	}
}

func FuzzPostgresPayload(f *testing.F) {
	row, _ := (&pgproto3.DataRow{Values: [][]byte{[]byte("x"), nil}}).Encode(nil)
	f.Add(row)
	f.Add([]byte("T\x00\x00\x00\x06\x00\x01"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		p := &printer{w: &strings.Builder{}, rows: 5}
		p.postgres(data)
	})
}
