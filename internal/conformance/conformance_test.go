package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestCorpus(t *testing.T) {
	shapes, err := Corpus()
	if err != nil {
		t.Fatal(err)
	}
	if len(shapes) < 300 {
		t.Errorf("%d shapes", len(shapes))
	}
}

func TestCorpusSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"family: x\nshapes: [{name: a}]":                            "sql or call is needed",
		"family: x\nshapes: [{name: a, sql: b, via: [pigeon]}]":     `via "pigeon"`,
		"family: x\nshapes: [{name: a, sql: b, vai: [simple]}]":     "vai",
		"family: x\nshapes: [{name: a, sql: b}, {name: a, sql: c}]": "twice",
		"shapes: [{name: a, sql: b}]":                               "family",
	} {
		_, err := ReadCorpus(fstest.MapFS{"one.yaml": {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// seen is how a canary shows in one cell, "" if it does not.
func seen(cells ...[]byte) string {
	var what []string
	for _, s := range newSearcher(newValues(Left), nil).search([]pgproto3.BackendMessage{&pgproto3.DataRow{Values: cells}}) {
		if s.Column == "people.ssn" || s.Column == "people.salary" {
			what = append(what, s.As)
		}
	}
	return strings.Join(what, ",")
}

func TestSearch(t *testing.T) {
	v := newValues(Left)
	ssn, salary := v.literals["{people.ssn 1}"], v.literals["{people.salary 1}"]
	back := []byte(ssn)
	slices.Reverse(back)
	sum := sha256.Sum256([]byte(ssn))
	n, err := strconv.ParseUint(salary, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	for want, cells := range map[string][][]byte{
		"raw":           {[]byte("x" + ssn + "x")},
		"reversed":      {back},
		"hex":           {[]byte(hex.EncodeToString([]byte(ssn)))},
		"base64":        {[]byte(base64.StdEncoding.EncodeToString([]byte("1" + ssn)))},
		"sha256":        {sum[:]},
		"sha256 hex":    {[]byte(strings.ToUpper(hex.EncodeToString(sum[:])))},
		"sha256 base64": {[]byte(base64.URLEncoding.EncodeToString(sum[:]))},
		"split":         {[]byte(ssn[:3]), []byte(ssn[3:7])},
		"binary":        {binary.BigEndian.AppendUint32(nil, uint32(n))},
	} {
		if got := seen(cells...); !slices.Contains(strings.Split(got, ","), want) {
			t.Errorf("%s is seen as %q", want, got)
		}
	}
	for _, harmless := range []string{"", "[redacted]", ssn[:4], strings.Repeat("a", 100), "***-**-" + ssn[len(ssn)-4:]} {
		if got := seen([]byte(harmless)); got != "" {
			t.Errorf("%q is seen as %s", harmless, got)
		}
	}
}

// The sides differ in what is protected and in nothing else.
func TestSides(t *testing.T) {
	left, right := newValues(Left), newValues(Right)
	for name, value := range left.literals {
		if right.literals[name] == value && !strings.Contains(name, "active") {
			t.Errorf("%s is %s on both", name, value)
		}
	}
	if len(left.literals) != len(right.literals) {
		t.Error("one side has more")
	}
	if text := left.fill(seed); strings.Contains(text, "{people") {
		t.Error("the seed names a value that there is not")
	}
}

func TestRandom(t *testing.T) {
	scheme, one := Random(1, 200)
	again, two := Random(1, 200)
	other, three := Random(2, 200)
	if scheme.sql != again.sql || scheme.sql == other.sql {
		t.Error("a seed is for one schema")
	}
	if text := scheme.side(Left, nil).fill(scheme.sql); strings.Contains(text, "{r") {
		t.Error("the schema names a value that there is not")
	}
	same := 0
	for i := range one {
		if one[i].text() != two[i].text() || strings.Join(one[i].Via, ",") != strings.Join(two[i].Via, ",") {
			t.Fatal("one seed makes two statements")
		}
		if strings.Contains(one[i].text(), "%!") || strings.Contains(one[i].text(), "$t") {
			t.Error(one[i].text())
		}
		if one[i].text() == three[i].text() {
			same++
		}
	}
	if same > len(one)/4 {
		t.Errorf("another seed makes %d of the same", same)
	}
}

// Decisions that are played again make the same statement, and fewer make a valid one.
func TestDecisions(t *testing.T) {
	_, relations := randomScheme(3)
	for number := range 50 {
		want, taken := randomShape(relations, 3, number, nil)
		got, again := randomShape(relations, 3, number, taken)
		if want.text() != got.text() || !slices.Equal(taken, again) {
			t.Errorf("number %d: %s, played again: %s", number, want.text(), got.text())
		}
		for _, fewer := range shorter(taken)[:6] {
			if s, _ := randomShape(relations, 3, number, fewer); s.text() == "" {
				t.Error("no statement")
			}
		}
	}
}
