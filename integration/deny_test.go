package integration

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// The words of the shop's rule no_where.
const (
	noWhereMessage = "refused by policy: UPDATE or DELETE without WHERE would touch every row (no_where)"
	noWhereHint    = "Add a WHERE that names the rows you mean."
)

var decisionID = regexp.MustCompile(`decision [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

func TestPsqlIsToldWhatToDo(t *testing.T) {
	w := shared(t)
	got := w.psql(t, w.agent(t), "update customers set city = 'deny-1';\nselect 'still here';\n")
	lines := strings.Split(decisionID.ReplaceAllString(got.err, "decision ID"), "\n")
	want := []string{"ERROR:  42501: " + noWhereMessage, "DETAIL:  decision ID", "HINT:  " + noWhereHint, ""}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("psql said (-want +got):\n%s", diff)
	}
	if got.out != "still here\n" || got.code != 0 {
		t.Errorf("afterwards: %s", got)
	}
	if w.reached(t, "deny-1") {
		t.Error("PostgreSQL was sent the refused statement")
	}
}

func TestDefaultDeny(t *testing.T) {
	w := shared(t)
	got := w.psql(t, w.agent(t), "lock table orders /* deny-2 */;\n")
	expect(t, got.err, "ERROR:  42501: refused by policy: ", "(default_deny)", "DETAIL:  decision ")
	if w.reached(t, "deny-2") {
		t.Error("PostgreSQL was sent the refused statement")
	}
}

func TestDeniedInEachMode(t *testing.T) {
	w := shared(t)
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			conn := w.pgx(t, w.agent(t), mode)
			_, err := conn.Exec(t.Context(), "update customers set city = $1", "deny-"+mode.String())
			e := refused(t, err)
			if e.Code != "42501" || e.Severity != "ERROR" || e.Message != noWhereMessage || e.Hint != noWhereHint || !decisionID.MatchString(e.Detail) {
				t.Errorf("%+v", e)
			}
			var one int
			if err := conn.QueryRow(t.Context(), "select id from customers where id = $1", someone).Scan(&one); err != nil || one != someone {
				t.Errorf("the connection is not usable any more: %v", err)
			}
			if w.reached(t, "deny-"+mode.String()) {
				t.Error("PostgreSQL was sent the refused statement")
			}
		})
	}
}

// A refusal in a transaction is an error like the server's own: the transaction
// has failed and what it did is undone.
func TestDeniedInTransaction(t *testing.T) {
	w := shared(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			conn := w.pgx(t, w.agent(t), mode)
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "update customers set city = 'undone' where id = 7"); err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), "delete from products")
			if e := refused(t, err); e.Code != "42501" {
				t.Errorf("%+v", e)
			}
			if state := conn.PgConn().TxStatus(); state != 'E' {
				t.Errorf("transaction state %c", state)
			}
			_, err = tx.Exec(t.Context(), "select 1")
			if e := refused(t, err); e.Code != "25P02" {
				t.Errorf("the failed transaction went on: %+v", e)
			}
			if err := tx.Commit(t.Context()); err == nil {
				t.Error("the failed transaction was committed")
			}
			if state := conn.PgConn().TxStatus(); state != 'I' {
				t.Errorf("transaction state %c", state)
			}
			if city := w.direct(t, "select city from customers where id = 7"); city == "undone" {
				t.Error("a part of the transaction stayed")
			}
		})
	}
}

func TestSavepointSurvivesDenial(t *testing.T) {
	w := shared(t)
	got := w.psql(t, w.agent(t), `begin;
update customers set city = 'kept' where id = 8;
savepoint s;
delete from products;
rollback to s;
select 'back';
commit;
`)
	expect(t, got.err, "ERROR:  42501: "+noWhereMessage)
	expect(t, got.out, "back\nCOMMIT")
	if city := w.direct(t, "select city from customers where id = 8"); city != "kept" {
		t.Errorf("city %q", city)
	}
}

// Statements after a refused one in the same message do not run, nor do those
// before it, as with any error in PostgreSQL's simple protocol.
func TestDeniedAmongSeveral(t *testing.T) {
	w := shared(t)
	got := w.psql(t, w.agent(t), "", "-c", "update customers set city = 'several-a' where id = 9; delete from products; update customers set city = 'several-b' where id = 9")
	expect(t, got.err, "42501: refused by policy: ")
	if city := w.direct(t, "select city from customers where id = 9"); strings.HasPrefix(city, "several") {
		t.Errorf("city %q", city)
	}
}

func TestDeniedInPipeline(t *testing.T) {
	w := shared(t)
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	var batch pgx.Batch
	batch.Queue("update customers set city = 'pipeline-a' where id = 10")
	batch.Queue("delete from products")
	batch.Queue("update customers set city = 'pipeline-b' where id = 10")
	results := conn.SendBatch(t.Context(), &batch)
	_, first := results.Exec()
	_, second := results.Exec()
	_ = results.Close()
	if e := refused(t, second); first != nil || e.Code != "42501" {
		t.Errorf("first %v, second %+v", first, e)
	}
	if city := w.direct(t, "select city from customers where id = 10"); strings.HasPrefix(city, "pipeline") {
		t.Errorf("city %q", city)
	}
	var n int
	if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Errorf("the connection is not usable any more: %v", err)
	}
}

// What cannot be read is refused, not passed on for PostgreSQL to read.
func TestUnreadableIsRefused(t *testing.T) {
	w := shared(t)
	for name, sql := range map[string]string{
		"not SQL":      "selekt 'unread-1';",
		"half a quote": "select 'unread-2",
		"half comment": "select 'unread-3' /* open",
	} {
		t.Run(name, func(t *testing.T) {
			got := w.psql(t, w.agent(t), "", "-c", sql)
			expect(t, got.err, "ERROR:  42501: refused by policy: ", "unparsed")
			if w.reached(t, sql) {
				t.Error("PostgreSQL was sent what could not be read")
			}
		})
	}
}

func TestUnknownDatabase(t *testing.T) {
	w := shared(t)
	got := w.psqlTo(t, strings.Replace(w.conninfo(""), "dbname=shop", "dbname=postgres", 1), w.agent(t), "select 1;\n")
	expect(t, got.err, `FATAL:  database "postgres" is not offered by target shop`, "HINT:  It offers: shop.")
}
