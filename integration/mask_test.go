package integration

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/examples/shop"
	"github.com/weir-gateway/weir/integration/stage"
)

// someone is the customer whom these tests read.
const someone = 42

func customer() shop.Customer { return shop.New(shop.Seed).Customers[someone-1] }

// masked is what a mask with keep_last 4 leaves of an ssn or a card.
func masked(value string) string {
	hidden := regexp.MustCompile(`[0-9]`).ReplaceAllString(value[:len(value)-4], "*")
	return hidden + value[len(value)-4:]
}

var digest = regexp.MustCompile(`^[0-9a-f]{16,64}$`)

func TestPsqlSeesMasks(t *testing.T) {
	w, c := shared(t), customer()
	for name, sql := range map[string]string{
		"plain":         "select ssn, card, name from customers where id = 42;",
		"alias":         "select ssn as a, card as b, name as c from customers as x where x.id = 42;",
		"subquery":      "select q.s, q.d, q.n from (select ssn s, card d, name n, id from customers) q where q.id = 42;",
		"cte":           "with q(a, b, c) as (select ssn, card, name from customers where id = 42) select * from q;",
		"union":         "select ssn, card, name from customers where id = 42 union all select ssn, card, name from customers where false;",
		"qualified":     `select public."customers".ssn, "customers"."card", name from only public.customers where id = 42;`,
		"search path":   "set search_path = pg_catalog, public; select ssn, card, name from customers where id = 42;",
		"cursor":        "begin; declare k cursor for select ssn, card, name from customers where id = 42; fetch all k; commit;",
		"prepared":      "prepare p as select ssn, card, name from customers where id = $1; execute p(42);",
		"\\bind":        "select ssn, card, name from customers where id = $1 \\bind 42 \\g",
		"\\parse":       "select ssn, card, name from customers where id = $1 \\parse one\n\\bind_named one 42 \\g",
		"lateral":       "select l.ssn, l.card, l.name from customers c, lateral (select c.ssn, c.card, c.name) l where c.id = 42;",
		"values in row": "select (customers).ssn, (customers).card, (customers).name from customers where id = 42;",
		"\\gdesc first": "select ssn, card, name from customers where id = 42 \\gdesc\nselect ssn, card, name from customers where id = 42;",
	} {
		t.Run(name, func(t *testing.T) {
			got := w.psql(t, w.agent(t), sql+"\n")
			if got.code != 0 {
				t.Fatal(got)
			}
			expect(t, got.String(), masked(c.SSN)+"|"+masked(c.Card)+"|"+c.Name, "!"+c.SSN, "!"+c.Card)
		})
	}
}

// What is derived of a masked value cannot be masked by its last digits: it is
// hidden whole, or the statement is refused. It never comes through.
func TestDerivedValuesStayHidden(t *testing.T) {
	w, c := shared(t), customer()
	for _, sql := range []string{
		"select ssn || '' from customers where id = 42;",
		"select reverse(ssn) from customers where id = 42;",
		"select upper(ssn), length(ssn) from customers where id = 42;",
		"select row_to_json(customers) from customers where id = 42;",
		"select customers from customers where id = 42;",
		"select array_agg(ssn) from customers where id = 42;",
		"select max(ssn) from customers where id = 42;",
		"select case when true then ssn end from customers where id = 42;",
		"select coalesce(ssn, '') from customers where id = 42;",
		"select (select ssn from customers where id = 42);",
		"update customers set city = city where id = 42 returning ssn;",
		"select 1/(ssn::int) from customers where id = 42;",
		"select cast(ssn as date) from customers where id = 42;",
		"copy (select ssn from customers where id = 42) to stdout;",
		"do $$ begin raise notice '%', (select ssn from customers where id = 42); end $$;",
		"explain analyze select ssn from customers where ssn = (select ssn from customers where id = 42);",
	} {
		t.Run(sql, func(t *testing.T) {
			got := w.psql(t, w.agent(t), sql+"\n")
			expect(t, got.String(), "!"+c.SSN, "!"+c.Card, "!"+reverse(c.SSN))
		})
	}
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func TestHashesJoin(t *testing.T) {
	w := shared(t)
	first := w.psql(t, w.agent(t), "select email from customers where id = 42;\n")
	second := w.psql(t, w.mint(t, "another-agent", app()), "select e from (select email e from customers order by id limit 42) q offset 41;\n")
	if hash := strings.TrimSpace(first.out); !digest.MatchString(hash) || first.out != second.out {
		t.Errorf("the same address is %q and %q", first.out, second.out)
	}
	other := w.psql(t, w.agent(t), "select email from customers where id = 43;\n")
	if first.out == other.out {
		t.Error("two addresses have one hash")
	}
}

func TestWhoMaySeesAll(t *testing.T) {
	w, c := shared(t), customer()
	token := w.mint(t, stage.Analyst, app("support", "privacy"))
	got := w.psql(t, token, "select ssn, card, email from customers where id = 42;\n")
	expect(t, got.out, c.SSN+"|"+c.Card+"|"+c.Email)
}

// modes are all ways in which pgx sends a query.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

func TestPgxSeesMasks(t *testing.T) {
	w, c := shared(t), customer()
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			conn := w.pgx(t, w.agent(t), mode)
			for range 2 { // the second time statement and description are kept
				var id int
				var ssn, card, name string
				err := conn.QueryRow(t.Context(), "select id, ssn as s, card, name from customers where id = $1", someone).Scan(&id, &ssn, &card, &name)
				if err != nil {
					t.Fatal(err)
				}
				if id != someone || ssn != masked(c.SSN) || card != masked(c.Card) || name != c.Name {
					t.Errorf("got %d %s %s %s", id, ssn, card, name)
				}
			}
		})
	}
}

func TestFormats(t *testing.T) {
	w, c := shared(t), customer()
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			rows, err := conn.Query(t.Context(), "select id, ssn, created_at from customers where id = $1",
				pgx.QueryResultFormats{format, format, format}, someone)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			if !rows.Next() {
				t.Fatal(rows.Err())
			}
			raw := rows.RawValues()
			if string(raw[1]) != masked(c.SSN) {
				t.Errorf("ssn %q", raw[1])
			}
			values, err := rows.Values()
			if err != nil || values[0] != int32(someone) {
				t.Errorf("id %v, %v", values[0], err)
			}
			if got := rows.FieldDescriptions()[1]; got.Name != "ssn" || got.DataTypeOID != 25 {
				t.Errorf("described as %+v", got)
			}
		})
	}
}

func TestManyRowsInOneBatch(t *testing.T) {
	w := shared(t)
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeCacheStatement)
	var batch pgx.Batch
	for id := 1; id <= 50; id++ {
		batch.Queue("select ssn, id from customers where id = $1", id)
	}
	batch.Queue("select count(*)::text, 0 from orders")
	results := conn.SendBatch(t.Context(), &batch)
	defer func() { _ = results.Close() }()
	for id := 1; id <= 50; id++ {
		var ssn string
		var got int
		if err := results.QueryRow().Scan(&ssn, &got); err != nil {
			t.Fatal(err)
		}
		if got != id || !strings.HasPrefix(ssn, "***-**-") {
			t.Errorf("row %d: %d %s", id, got, ssn)
		}
	}
	var count string
	var zero int
	if err := results.QueryRow().Scan(&count, &zero); err != nil || count == "0" {
		t.Errorf("orders: %s, %v", count, err)
	}
}

// copied rows are masked, or not delivered.
func TestCopyOut(t *testing.T) {
	w, c := shared(t), customer()
	for _, sql := range []string{"copy customers to stdout", "copy customers (id, ssn) to stdout with (format binary)", `\copy customers to stdout`} {
		got := w.psql(t, w.agent(t), sql+"\n")
		expect(t, got.String(), "!"+c.SSN, "!"+c.Card)
	}
}

func TestJSONIsMasked(t *testing.T) {
	once(t)
	w, c := shared(t), customer()
	got := w.curl(t, w.agent(t), "/customers/42")
	expect(t, got.out, "HTTP/1.1 200 OK", `"ssn":"`+masked(c.SSN)+`"`, `"card":"`+masked(c.Card)+`"`, `"name":"`+c.Name+`"`,
		"!"+c.SSN, "!"+c.Card, "!"+c.Email, "!Content-Length", "!content-length")
	list := w.curl(t, w.agent(t), "/customers?limit=50")
	expect(t, list.out, masked(c.SSN), "!"+c.SSN, "!"+c.Card, "!"+c.Email)
	all := w.curl(t, w.mint(t, stage.Analyst, app("privacy")), "/customers/42")
	expect(t, all.out, c.SSN, c.Card, c.Email)
}

// The same address has the same hash in the database and in the API.
func TestHashesAgreeAcrossProtocols(t *testing.T) {
	w := shared(t)
	sql := w.psql(t, w.agent(t), "select email from customers where id = 42;\n")
	expect(t, w.curl(t, w.agent(t), "/customers/42").out, `"email":"`+strings.TrimSpace(sql.out)+`"`)
}

func TestCompressionDoesNotEvade(t *testing.T) {
	once(t)
	w, c := shared(t), customer()
	got := w.curl(t, w.agent(t), "/customers/42", "--compressed", "-H", "Range: bytes=0-200")
	expect(t, got.out, "HTTP/1.1 200 OK", masked(c.SSN), "!"+c.SSN)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.url("/customers/42"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.agent(t))
	resp, err := w.client(t).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
}
