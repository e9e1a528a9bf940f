package sqlmeta

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func analyze(t testing.TB, text string) *Statement {
	t.Helper()
	an, err := analyzer.Analyze(context.Background(), text, shop, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(an.Statements) == 0 {
		t.Fatalf("%q: no statement", text)
	}
	return &an.Statements[0]
}

func TestTooLarge(t *testing.T) {
	a := *analyzer
	a.maxBytes = 10
	if _, err := a.Analyze(context.Background(), "SELECT 12345", shop, path); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{MaxBytes: -1}); err == nil {
		t.Error("a negative limit is taken")
	}
}

// What cannot be understood is said, in a way that policy and session both refuse.
func TestNotUnderstood(t *testing.T) {
	for text, risk := range map[string]string{
		"SELEC 1":               RiskUnparsed,
		"SELECT 1; SELEC":       RiskUnparsed,
		"SELECT 'x":             RiskUnparsed,
		"SELECT 1 \x00 DROP":    RiskUnparsed,
		"SELECT '\xff'":         RiskUnparsed,
		"SELECT $$ no end":      RiskUnparsed,
		"SELECT 1; \\copy x":    RiskUnparsed,
		"BASE_BACKUP":           RiskUnparsed,
		"START_REPLICATION 0/0": RiskUnparsed,
		"SELECT 1" + strings.Repeat("+1", 100_000):                                                            RiskTooComplex,
		strings.Repeat("/*", 1<<19):                                                                           RiskTooComplex,
		"SELECT 1" + strings.Repeat("+-", 1<<18):                                                              RiskTooComplex,
		"SELECT 1 FROM stacked" + strings.Repeat(" NATURAL JOIN stacked", 1_500):                              RiskTooComplex,
		"SELECT 1" + strings.Repeat(",a", 1<<18):                                                              RiskTooComplex,
		"SELECT 1 FROM a" + strings.Repeat(",a", 2_000) + " WHERE " + strings.Repeat("z OR ", 1<<15) + "true": RiskTooComplex,
		"SELECT " + strings.Repeat("(SELECT 1),", 2_000) + "1":                                                RiskTooComplex,
		"SELECT " + strings.Repeat("customers.*,", 500) + "1 FROM customers":                                  RiskTooComplex,
		"SELECT " + strings.Repeat("coalesce(", 2_100) + "1" + strings.Repeat(")", 2_100):                     RiskTooComplex,
		"CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a) VIRTUAL)":                                       RiskUnparsed, // not in the grammar yet
	} {
		s := analyze(t, text)
		if !s.Opaque || s.Outputs != nil || !slices.Contains(s.Risks, risk) || !slices.Contains(s.Risks, RiskUnparsed) || s.Action != ActionUnknown {
			t.Errorf("%.60q: %s, opaque %v, %v", text, s.Action, s.Opaque, s.Risks)
		}
	}
}

func TestEmptyText(t *testing.T) {
	for _, text := range []string{"", ";", " ;; -- nothing\n", "/* */"} {
		an, err := analyzer.Analyze(context.Background(), text, shop, path)
		if err != nil || len(an.Statements) != 0 {
			t.Errorf("%q: %v, %v", text, an, err)
		}
	}
}

func TestTextOfEachStatement(t *testing.T) {
	an, err := analyzer.Analyze(context.Background(), " SELECT 1 ;\n-- two\nSELECT ';' ; /* three */ DELETE FROM orders", shop, path)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range an.Statements {
		texts = append(texts, s.Text)
	}
	want := []string{"SELECT 1", "-- two\nSELECT ';'", "/* three */ DELETE FROM orders"}
	if !slices.Equal(texts, want) {
		t.Errorf("got %q", texts)
	}
}

// Statements that differ in what they reach must not share an answer.
func TestCacheTellsApart(t *testing.T) {
	ctx := context.Background()
	get := func(text string, c Catalog, path ...string) *Analysis {
		t.Helper()
		an, err := analyzer.Analyze(ctx, text, c, path)
		if err != nil {
			t.Fatal(err)
		}
		return an
	}
	const text = "SELECT * FROM customers"
	first := get(text, shop, "public")
	if get(strings.Clone(text), shop, "public") != first {
		t.Error("the same is analysed twice")
	}
	if get(text, shop, "crm", "public").Statements[0].Tables[0].Schema != "crm" {
		t.Error("the search path does not count")
	}
	later := *shop
	later.revision, later.Relations = "later", nil
	if !get(text, &later, "public").Statements[0].Opaque {
		t.Error("the catalog's revision does not count")
	}
	nameless := uncached{shop, shop}
	if first := get(text, nameless, "public"); first == get(text, nameless, "public") {
		t.Error("an answer is kept for a catalog without a revision")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c, err := newCache(3, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	add := func(text string) { c.add(text, "r", nil, &Analysis{}) }
	for _, text := range []string{"a", "b", "c", "d"} {
		add(text)
	}
	if c.get("a", "r", nil) != nil || c.get("d", "r", nil) == nil {
		t.Error("the oldest must go first")
	}
	add("d")
	if want := 3 * weigh("a", &Analysis{}); c.bytes != want {
		t.Errorf("%d bytes are counted, not %d", c.bytes, want)
	}
	add(strings.Repeat("x", 2_000))
	if c.get(strings.Repeat("x", 2_000), "r", nil) != nil {
		t.Error("a text that takes the cache alone is kept")
	}
	if c, err = newCache(1000, 64_000); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		add(strings.Repeat("y", 900+i))
	}
	if c.bytes > 64_000 || c.lru.Len() < 40 {
		t.Errorf("%d texts with %d bytes are kept", c.lru.Len(), c.bytes)
	}
	add(strings.Repeat("z", 1_001))
	if c.get(strings.Repeat("z", 1_001), "r", nil) != nil {
		t.Error("a text of a 64th of the cache is kept")
	}
}

func TestParseSearchPath(t *testing.T) {
	for setting, want := range map[string][]string{
		`"$user", public`:           {"$user", "public"},
		`public`:                    {"public"},
		``:                          nil,
		`""`:                        nil,
		`Sales , "Sales", "a""b,c"`: {"sales", "Sales", `a"b,c`},
		`pg_catalog,,x`:             {"pg_catalog", "x"},
		`"open`:                     {"open"},
		"\t a\n":                    {"a"},
	} {
		if got := ParseSearchPath(setting); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", setting, got, want)
		}
	}
}

// A temporary relation hides one of the same name, and nothing is known of it.
func TestShadowed(t *testing.T) {
	c := Shadowed(shop, "orders", "customers", "orders")
	get := func(text string) *Statement {
		t.Helper()
		an, err := analyzer.Analyze(context.Background(), text, c, path)
		if err != nil {
			t.Fatal(err)
		}
		return &an.Statements[0]
	}
	if s := get("SELECT upper(note) FROM orders"); !s.Opaque || s.Tables[0].Known {
		t.Errorf("the hidden relation is taken: %+v", s)
	}
	if s := get("SELECT upper(note), count(*) FROM public.orders GROUP BY 1"); s.Opaque {
		t.Errorf("one with a schema, and functions, are not hidden: %v", s.Risks)
	}
	if Shadowed(shop) != Catalog(shop) {
		t.Error("no names make no other catalog")
	}
	if r := Shadowed(shop, "a", "b").(Revisioned).Revision(); r != Shadowed(shop, "b", "a").(Revisioned).Revision() || r == shop.revision {
		t.Errorf("the revision is %q", r)
	}
}

// The work is bounded for a text, not for each of its statements.
func TestManyStatements(t *testing.T) {
	an, err := analyzer.Analyze(context.Background(), strings.Repeat("TABLE customers;", 1<<15), shop, path)
	if err != nil {
		t.Fatal(err)
	}
	first, last := an.Statements[0], an.Statements[len(an.Statements)-1]
	if len(first.Outputs) != 9 || first.Opaque || !slices.Contains(last.Risks, RiskTooComplex) || !last.Opaque {
		t.Errorf("first %+v, last %+v", first, last)
	}
}

// What people write in comments and strings is no burden.
func TestRulersAreRead(t *testing.T) {
	line := strings.Repeat("*", 100)
	text := strings.Repeat("/*"+line+"*/\n--"+strings.Repeat("=", 200)+"\n", 500) + "SELECT '" + strings.Repeat("-", 5_000) + "'"
	if s := analyze(t, text); s.Opaque {
		t.Errorf("refused: %v", s.Risks)
	}
}
