package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestTable(t *testing.T) {
	one, two := &Shape{Family: "a", Name: "one"}, &Shape{Family: "b", Name: "two"}
	findings := []Finding{
		{Shape: one, ID: "a/one", Verdict: Masked}, {Shape: one, ID: "a/one", Verdict: Leak}, {Shape: one, ID: "a/one", Verdict: Oracle},
		{Shape: two, ID: "b/two", Verdict: Refused},
	}
	want := []Row{{"a", map[Verdict]int{Leak: 1}}, {"b", map[Verdict]int{Refused: 1}}}
	if diff := cmp.Diff(want, Table(findings)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[Verdict]int{Leak: 1, Refused: 1}, Total(want).Count); diff != "" {
		t.Error(diff)
	}
}

func TestCompare(t *testing.T) {
	report := func(pairs ...string) Report {
		r := Report{Shapes: map[string]Verdict{}}
		for i := 0; i < len(pairs); i += 2 {
			r.Shapes[pairs[i]] = Verdict(pairs[i+1])
		}
		return r
	}
	for name, test := range map[string]struct {
		reports []Report
		want    []Difference
		worse   bool
	}{
		"equal":             {[]Report{report("a", "masked"), report("a", "masked")}, nil, false},
		"good both":         {[]Report{report("a", "masked"), report("a", "refused")}, []Difference{{"a", []Verdict{Masked, Refused}}}, false},
		"worse":             {[]Report{report("a", "masked"), report("a", "leak")}, []Difference{{"a", []Verdict{Masked, Leak}}}, true},
		"worse than bad":    {[]Report{report("a", "oracle"), report("a", "leak")}, []Difference{{"a", []Verdict{Oracle, Leak}}}, true},
		"better":            {[]Report{report("a", "leak"), report("a", "oracle")}, []Difference{{"a", []Verdict{Leak, Oracle}}}, false},
		"played by one":     {[]Report{report("a", "masked"), report("a", "masked", "b", "leak")}, []Difference{{"b", []Verdict{"", Leak}}}, false},
		"the third differs": {[]Report{report("a", "masked"), report("a", "masked"), report("a", "leak")}, []Difference{{"a", []Verdict{Masked, Masked, Leak}}}, true},
	} {
		got, worse := Compare(test.reports)
		if diff := cmp.Diff(test.want, got); diff != "" || worse != test.worse {
			t.Errorf("%s: worse %v\n%s", name, worse, diff)
		}
	}
}

func TestDifferSaysWhatAPersonReads(t *testing.T) {
	row := func(cells ...string) *pgproto3.DataRow {
		m := &pgproto3.DataRow{}
		for _, c := range cells {
			m.Values = append(m.Values, []byte(c))
		}
		return m
	}
	answerOf := func(messages ...pgproto3.BackendMessage) *answer { return &answer{messages: messages} }
	for want, pair := range map[string][2]*answer{
		"":                                  {answerOf(row("1")), answerOf(row("1"))},
		`row 2: "x", "1" | row 2: "y", "1"`: {answerOf(row("a"), row("x", "1")), answerOf(row("a"), row("y", "1"))},
		`row 1: "x" | SELECT 0`:             {answerOf(row("x")), answerOf(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")})},
		`row 1: "x" | nothing more`:         {answerOf(row("x")), answerOf()},
		`row 1: NULL | row 1: ""`:           {answerOf(&pgproto3.DataRow{Values: [][]byte{nil}}), answerOf(row(""))},
	} {
		if got := differ(pair[0], pair[1]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	hidden := differ(answerOf(&pgproto3.ErrorResponse{Code: "1", Detail: "a"}), answerOf(&pgproto3.ErrorResponse{Code: "1", Detail: "b"}))
	if !strings.Contains(hidden, "Da") || !strings.Contains(hidden, "Db") {
		t.Errorf("of errors that differ in their detail only: %q", hidden)
	}
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	for want, o := range map[string]Options{
		"--target is no DSN":          {Target: "nonsense"},
		"--direct is no DSN":          {Direct: "postgres://a:top@:x/"},
		"--masked people.snn":         {Masked: []string{"people.ssn", "people.snn"}},
		"--twin and --twin-direct go": {Twin: "postgres://localhost/"},
		"":                            {Target: "postgres://localhost/", Masked: []string{`"Odd Table"."Ssn"`}},
	} {
		text := ""
		if err := o.Check(); err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) || want == "" && text != "" || strings.Contains(text, "top") {
			t.Errorf("%q, want %q", text, want)
		}
	}
}

// Of columns that the gateway does not mask both sides have the same values: else each
// answer would differ.
func TestSidesDifferInWhatIsMasked(t *testing.T) {
	left, right := newValues(Left), fixed().side(Right, []string{"people.ssn"})
	for name, value := range left.literals {
		if same := right.literals[name] == value; same != !strings.HasPrefix(name, "{people.ssn ") {
			t.Errorf("%s: %s on the left, %s on the right", name, value, right.literals[name])
		}
	}
}
