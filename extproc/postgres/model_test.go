package postgres

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// refusedText is refused by policy; the server itself fails on it too, so that
// both ways must look alike.
const refusedText = "SELECT refused_by_policy()"

var modelTexts = []string{
	"SELECT 1 AS a", "SELECT generate_series(1, 3) AS g", "SELECT 1/(random()*0)::int AS zero", "SELECT nosuch", "SELEC", "",
	"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s",
	"INSERT INTO notes (body) VALUES ('model')", "SELECT count(*) > 0 AS some FROM customers",
	"PREPARE s1 AS SELECT 5 AS five", "EXECUTE s1", "DEALLOCATE s1", "DEALLOCATE ALL",
	"DECLARE c1 CURSOR FOR SELECT generate_series(1, 5) AS x", "FETCH 2 FROM c1", "CLOSE c1", "SHOW geqo", "SET geqo TO on",
	refusedText, refusedText,
}

// modelMessage draws one message of a client that knows the protocol but not what
// it does with it.
func modelMessage(t *rapid.T) pgproto3.FrontendMessage {
	text := rapid.SampledFrom(modelTexts)
	statement := rapid.SampledFrom([]string{"", "", "s1", "s2"})
	portal := rapid.SampledFrom([]string{"", "", "p1", "c1"})
	switch rapid.SampledFrom([]string{"Q", "P", "P", "B", "B", "E", "E", "E", "DS", "DP", "CS", "CP", "S", "S", "H", "QQ"}).Draw(t, "kind") {
	case "Q":
		return &pgproto3.Query{String: text.Draw(t, "text")}
	case "QQ":
		both := rapid.SampledFrom(modelTexts[:len(modelTexts)-2]) // a refused one refuses the whole
		return &pgproto3.Query{String: both.Draw(t, "first") + "; " + both.Draw(t, "second")}
	case "P":
		return &pgproto3.Parse{Name: statement.Draw(t, "statement"), Query: text.Draw(t, "text")}
	case "B":
		return &pgproto3.Bind{DestinationPortal: portal.Draw(t, "portal"), PreparedStatement: statement.Draw(t, "statement")}
	case "E":
		return &pgproto3.Execute{Portal: portal.Draw(t, "portal"), MaxRows: rapid.SampledFrom([]uint32{0, 0, 1, 2}).Draw(t, "rows")}
	case "DS":
		return &pgproto3.Describe{ObjectType: 'S', Name: statement.Draw(t, "statement")}
	case "DP":
		return &pgproto3.Describe{ObjectType: 'P', Name: rapid.SampledFrom([]string{"p1", "c1"}).Draw(t, "portal")}
	case "CS":
		return &pgproto3.Close{ObjectType: 'S', Name: statement.Draw(t, "statement")}
	case "CP":
		return &pgproto3.Close{ObjectType: 'P', Name: portal.Draw(t, "portal")}
	case "H":
		return &pgproto3.Flush{}
	}
	return &pgproto3.Sync{}
}

// transcript plays messages, cut at the given places, and describes what comes
// back until the connection ends.
func transcript(t *rapid.T, conn net.Conn, f *pgproto3.Frontend, raw []byte, cuts []int) []string {
	go func() {
		from := 0
		for _, cut := range cuts {
			if cut > from && cut < len(raw) {
				_, _ = conn.Write(raw[from:cut])
				from = cut
			}
		}
		_, _ = conn.Write(raw[from:])
	}()
	var got []string
	for {
		m, err := f.Receive()
		if err != nil {
			return got
		}
		s := describeMessage(m)
		switch s {
		// The gateway refuses a statement in a failed transaction too, where the
		// server says that it is aborted; and a query that fails leaves its unnamed
		// portal behind, of which the server says the same.
		case "ERROR 42883", "ERROR 42501", "ERROR 34000", "ERROR 26000", "ERROR 25P02":
			s = "ERROR refused"
		}
		if s != "" && !strings.HasPrefix(s, "notice") {
			got = append(got, s)
		}
	}
}

func signInModel(t *rapid.T, address, user, password string) (net.Conn, *pgproto3.Frontend) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	f := pgproto3.NewFrontend(conn, conn)
	f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": user, "database": "shop"}})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			f.Send(&pgproto3.PasswordMessage{Password: password})
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
		case *pgproto3.ErrorResponse:
			t.Fatalf("%s %s", m.Code, m.Message)
		case *pgproto3.ReadyForQuery:
			return conn, f
		}
	}
}

// TestModel compares random conversations through the gateway with the same
// conversations without it: message by message the client must see the same,
// whatever is refused, wherever the bytes are cut.
func TestModel(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust})
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation != nil {
			for _, st := range in.Operation.Statements {
				if strings.Contains(st.Text, "refused_by_policy") {
					return gate.Denied("model", "refused", "")
				}
			}
		}
		return gate.Decision{Effect: gate.Allow}
	}
	address := w.serve(server.Addr())
	rapid.Check(t, func(t *rapid.T) {
		messages := rapid.SliceOfN(rapid.Custom(modelMessage), 1, 25).Draw(t, "messages")
		var raw []byte
		for _, m := range append(messages, &pgproto3.Sync{}, &pgproto3.Terminate{}) {
			raw, _ = m.Encode(raw)
		}
		cuts := rapid.SliceOfN(rapid.IntRange(1, len(raw)), 0, 6).Draw(t, "cuts")
		direct, df := signInModel(t, server.Addr(), "weir_orders", "")
		defer direct.Close()
		through, tf := signInModel(t, address, "anyone", "good")
		defer through.Close()
		expected := transcript(t, direct, df, raw, nil)
		got := transcript(t, through, tf, raw, cuts)
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Fatalf("the gateway differs (-direct +through):\n%s", diff)
		}
	})
}
