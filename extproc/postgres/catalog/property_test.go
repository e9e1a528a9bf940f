package catalog

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// canaries fills every text column with a value that names it.
const canaries = `
TRUNCATE customers, orders, people, employees, events, crm.customers, "Weird Table", generated;
INSERT INTO customers (id, name, ssn, card) VALUES (1, '!customers.name!', '!c.ssn!', '!customers.card!');
INSERT INTO orders (id, customer_id, note, name) VALUES (1, 1, '!orders.note!', '!orders.name!');
INSERT INTO people VALUES (1, '!people.ssn!');
INSERT INTO employees VALUES (1, '!employees.ssn!', 1);
INSERT INTO events VALUES (1, 'a', '!events_a.payload!');
INSERT INTO crm.customers VALUES (1, '!crm.name!', '!crm.phone!');
INSERT INTO "Weird Table" VALUES ('!Weird.Ssn!', 1, '!Weird.a"b!', '!Weird.ssn!');
INSERT INTO generated VALUES (1, '!generated.ssn!');
REFRESH MATERIALIZED VIEW mat`

// canaryOf is the column that a canary is of, in lower case.
var canaryOf = map[string]sqlmeta.ColumnRef{
	"!customers.name!":   {Schema: "public", Table: "customers", Column: "name"},
	"!c.ssn!":            {Schema: "public", Table: "customers", Column: "ssn"},
	"!customers.card!":   {Schema: "public", Table: "customers", Column: "card"},
	"!orders.note!":      {Schema: "public", Table: "orders", Column: "note"},
	"!orders.name!":      {Schema: "public", Table: "orders", Column: "name"},
	"!people.ssn!":       {Schema: "public", Table: "people", Column: "ssn"},
	"!employees.ssn!":    {Schema: "public", Table: "employees", Column: "ssn"},
	"!events_a.payload!": {Schema: "public", Table: "events_a", Column: "payload"},
	"!crm.name!":         {Schema: "crm", Table: "customers", Column: "name"},
	"!crm.phone!":        {Schema: "crm", Table: "customers", Column: "phone"},
	"!weird.a\"b!":       {Schema: "public", Table: "Weird Table", Column: "a\"b"},
	"!generated.ssn!":    {Schema: "public", Table: "generated", Column: "ssn"},
}

var canary = regexp.MustCompile(`![a-z_]+\.[a-z"]+!`)

// Random queries: what the server describes is what the analysis says, and a
// value that comes back has its column among the sources of its output.
func TestGeneratedQueries(t *testing.T) {
	ctx := context.Background()
	server := serve(t)
	if err := server.Exec(ctx, "postgres", canaries); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, server)
	if _, err := conn.Exec(ctx, "SET statement_timeout = '5s'"); err != nil {
		t.Fatal(err)
	}
	catalog, analyzer := snapshot(t, open(t, server)), newAnalyzer(t)
	valid, refused := 0, map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		g := &generator{T: rt}
		sql, _ := g.query(rapid.IntRange(0, 3).Draw(rt, "depth"))
		d, err := conn.PgConn().Prepare(ctx, "", sql, nil)
		if err != nil {
			refused[err.Error()]++
			return
		}
		valid++
		an, err := analyzer.Analyze(ctx, sql, catalog, []string{"$user", "public"})
		if err != nil {
			rt.Fatal(err)
		}
		s := &an.Statements[0]
		if s.Opaque {
			rt.Fatalf("%s\nopaque: %v", sql, s.Risks)
		}
		if diff := cmp.Diff(described(d), analysed(s)); diff != "" {
			rt.Fatalf("%s\nserver (-), analysis (+):\n%s", sql, diff)
		}
		if problem := traced(ctx, conn, sql, s); problem != "" {
			rt.Fatalf("%s\n%s", sql, problem)
		}
	})
	t.Logf("%d valid queries; refused: %d kinds", valid, len(refused))
	if testing.Verbose() {
		for e, n := range refused {
			t.Log(n, e)
		}
	}
}

// traced runs a query and looks for canaries of columns that its outputs are not
// said to depend on.
func traced(ctx context.Context, conn *pgx.Conn, sql string, s *sqlmeta.Statement) string {
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return ""
	}
	defer rows.Close()
	for n := 0; rows.Next() && n < 100; n++ {
		for i, cell := range rows.RawValues() {
			for _, c := range canary.FindAllString(strings.ToLower(string(cell)), -1) {
				column, ok := canaryOf[c]
				if ok && !slices.Contains(s.Outputs[i].Sources, column) {
					return fmt.Sprintf("output %d shows %s, its sources are %v", i+1, c, s.Outputs[i].Sources)
				}
			}
		}
	}
	return ""
}
