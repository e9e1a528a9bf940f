package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// nasty is a table of what makes functions fail, in all combinations that chance
// gives.
const nasty = `CREATE TABLE nasty AS SELECT
  (ARRAY[NULL, '', 'x', 'x\', '%', '_\', '1e400', '-1', 'Žluť', repeat('ab-', 30000), E'\t', '{', '(', '2026-01-01', 'NaN'])[1 + random() * 14] AS t,
  (ARRAY[NULL, '', 'abc', 'y\'])[1 + random() * 3]::varchar(5) AS v,
  (ARRAY[NULL, 'a  ', ''])[1 + random() * 2]::char(3) AS c,
  (ARRAY[NULL, 0, 1, -1, 32767, -32768])[1 + random() * 5]::smallint AS i2,
  (ARRAY[NULL, 0, 1, -1, 2147483647, -2147483648])[1 + random() * 5]::int AS i4,
  (ARRAY[NULL, 0, 1, 9223372036854775807, -9223372036854775808])[1 + random() * 4]::bigint AS i8,
  (ARRAY[NULL, 0, 99999999.99, -99999999.99, 'NaN'])[1 + random() * 4]::numeric(10,2) AS n,
  (ARRAY[NULL, 0, 1e400, -1e130000, 1e-1000, 'NaN', 'Infinity', '-Infinity'])[1 + random() * 7]::numeric AS big,
  (ARRAY[NULL, 0, 3e38, 'NaN', 'Infinity'])[1 + random() * 4]::float4 AS f4,
  (ARRAY[NULL, 0, 1.7e308, -1.7e308, 5e-324, 'NaN', '-Infinity'])[1 + random() * 6]::float8 AS f8,
  (ARRAY[NULL, true, false])[1 + random() * 2] AS b,
  (ARRAY[NULL, '4713-01-01 BC', '5874897-12-31', 'infinity', '-infinity', '2026-02-28'])[1 + random() * 5]::date AS d,
  (ARRAY[NULL, '4713-01-01 BC', '294276-12-31', 'infinity', '-infinity'])[1 + random() * 4]::timestamp AS ts,
  (ARRAY[NULL, '4713-01-02 BC', '294276-12-30', 'infinity', '-infinity'])[1 + random() * 4]::timestamptz AS tz,
  (ARRAY[NULL, '24:00', '00:00'])[1 + random() * 2]::time AS tm,
  (ARRAY[NULL, '178000000 years', '-178000000 years'])[1 + random() * 2]::interval AS iv,
  gen_random_uuid() AS u, '10.0.0.0/8'::inet AS ip,
  (ARRAY[NULL, '{}', '[]', '1', '"x"', 'null', '{"a": {"b": "x\\"}}', '[1, [2]]', '{"a": 1e400}'])[1 + random() * 8]::jsonb AS j,
  (ARRAY[NULL, '{"a": "\u0000"}', '"\ud800"', '1'])[1 + random() * 3]::json AS js,
  (ARRAY['{}', '{a,NULL}', '{{a,b},{c,d}}', '[5:6]={x,y}'])[1 + random() * 3]::text[] AS ta,
  (ARRAY['{}', '{1,2}', '{{1},{2}}'])[1 + random() * 2]::int[] AS ia,
  (ARRAY[NULL, '\x', '\x00ff5c'])[1 + random() * 2]::bytea AS by,
  (ARRAY[NULL, 'empty', '[1,)', '(,)'])[1 + random() * 3]::numrange AS r,
  (ARRAY[NULL, '92233720368547758.07', '-92233720368547758.08'])[1 + random() * 2]::money AS m,
  (ARRAY[NULL, 'happy', 'sad'])[1 + random() * 2]::sort AS e,
  ROW('x', (ARRAY[NULL, 'y'])[1 + random()], 'z')::address AS a
FROM generate_series(1, 60)`

var nastyColumns = strings.Fields("t t t v v c i2 i4 i8 n big f4 f8 b d ts tz tm iv u ip j js ta ia by r m e a")

var castTypes = strings.Fields("text varchar varchar(3) char(2) name int2 int4 int8 numeric numeric(5,2) float4 float8 bool date timestamp timestamptz time interval uuid inet json jsonb bytea text[] int[] money sort email bit(3)")

var constants = []string{"'x'", "'1'", "1", "0", "2", "1.5", "NULL", "'-'", "true", "'a'::text", "'1'::float8", "'1'::numeric", "'2026-01-01'::date", `'{"a": 1}'::jsonb`, "'{a}'", "ARRAY['a', 'b']", "repeat('x', 1000)"}

var binaryOperators = []string{"=", "<>", "<", "<=", ">", ">=", "||", "->", "->>", "#>", "#>>", "@>", "<@", "?", "?|", "+", "-", "*", "/", "&", "~", "LIKE", "ILIKE", "IS DISTINCT FROM", "SIMILAR TO", "&&", "%"}

// expressions makes random ones.
type expressions struct {
	*rand.Rand
	functions []string
}

func (g *expressions) pick(list []string) string { return list[g.IntN(len(list))] }

func (g *expressions) expr(depth int) string {
	if depth <= 0 || g.IntN(8) == 0 {
		if g.IntN(4) == 0 {
			return g.pick(constants)
		}
		return g.pick(nastyColumns)
	}
	sub := func() string { return g.expr(depth - 1 - g.IntN(2)) }
	switch g.IntN(15) {
	case 0, 1, 2, 3:
		args := []string{sub()}
		for g.IntN(2) == 0 {
			args = append(args, sub())
		}
		return g.pick(g.functions) + "(" + strings.Join(args, ", ") + ")"
	case 4, 5, 6, 7:
		return "(" + sub() + " " + g.pick(binaryOperators) + " " + sub() + ")"
	case 8:
		return "(" + sub() + ")::" + g.pick(castTypes)
	case 9:
		return "CASE WHEN " + sub() + " = " + sub() + " THEN " + sub() + " ELSE " + sub() + " END"
	case 10:
		return g.pick([]string{"coalesce", "greatest", "least", "nullif"}) + "(" + sub() + ", " + sub() + ")"
	case 11:
		return "(" + sub() + g.pick([]string{" IN (", " = ANY (ARRAY[", " BETWEEN ("}) + g.pick(constants) + g.pick([]string{")", "])", ") AND 1"}) + ")"
	case 12:
		return "CASE " + sub() + " WHEN " + sub() + " THEN " + sub() + " END"
	case 13:
		return "(" + sub() + " IS NULL)"
	default:
		return g.pick([]string{"count", "min", "max", "sum", "avg", "bool_and"}) + "(" + sub() + ")"
	}
}

// An expression of which the analysis says that it cannot fail by the values of
// columns does not, whatever they are.
func TestWhatCannotFailDoesNot(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	do(t, conn, "CREATE TYPE sort AS ENUM ('happy', 'sad'); "+nasty)
	names, err := os.ReadFile("../../../internal/sqlmeta/failing.go")
	if err != nil {
		t.Fatal(err)
	}
	g := &expressions{Rand: rand.New(rand.NewPCG(1, 2))}
	for _, part := range strings.Split(string(names), `"`) { // of which many are no functions
		if part != "" && !strings.ContainsAny(part, " \t\n:{}()%|<>=!?#@-/") {
			g.functions = append(g.functions, part)
		}
	}
	an, catalog := newAnalyzer(t), snapshot(t, open(t, server))
	asked, ran := 0, 0
	for asked = range 6000 {
		sql := "SELECT " + g.expr(3) + " FROM nasty"
		a, err := an.Analyze(t.Context(), sql, catalog, []string{"public"})
		if err != nil {
			t.Fatal(err)
		}
		st := &a.Statements[0]
		if st.Opaque || len(st.Columns) == 0 || slices.ContainsFunc(st.Columns, func(c sqlmeta.ColumnUse) bool { return c.Use == sqlmeta.UseFallible }) {
			continue
		}
		switch failure := failureOf(t.Context(), conn.PgConn(), sql); failure {
		case "":
			ran++
		case "42": // types do not fit: whatever the values
		default:
			t.Errorf("%s: %s", sql, failure)
		}
	}
	if ran < asked/20 {
		t.Errorf("of %d expressions only %d ran", asked, ran)
	}
}

// failureOf is how a statement fails that reads: "" for not at all, "42" for what the
// server says of it before it reads a row.
func failureOf(ctx context.Context, conn *pgconn.PgConn, sql string) string {
	_, err := conn.Prepare(ctx, "", sql, nil)
	if err != nil { // a constant that is not of the type it is taken for fails here too
		return "42"
	}
	_, err = conn.ExecPrepared(ctx, "", nil, nil, nil).Close()
	var e *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && strings.HasPrefix(e.Code, "42"):
		return "42"
	}
	return fmt.Sprint(err)
}
