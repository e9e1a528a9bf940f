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

func TestGenerate(t *testing.T) {
	one, again, other := Generate(1, 200), Generate(1, 200), Generate(2, 200)
	for i := range one {
		if one[i].SQL[0] != again[i].SQL[0] {
			t.Fatal("one seed makes two statements")
		}
		if strings.Contains(one[i].SQL[0], "%!") || strings.Contains(one[i].SQL[0], "$") {
			t.Error(one[i].SQL[0])
		}
	}
	if one[0].SQL[0] == other[0].SQL[0] && one[1].SQL[0] == other[1].SQL[0] {
		t.Error("another seed makes the same")
	}
}
