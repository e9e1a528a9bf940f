package conformance

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Side is one of the two sets of canaries.
type Side int

// The two sides differ in the protected values and in nothing else.
const (
	Left Side = iota
	Right
)

// Protected are the columns of the scratch schema that hold canaries, without its
// name: these the gateway has to mask.
var Protected = []string{
	"people.ssn", "people.card", "people.email", "people.salary", "people.bonus", "people.net", "people.score", "people.born",
	"people.seen", "people.token", "people.photo", "people.doc", "people.tags", "people.home", "people.ip", "people.active",
	"accounts.iban", "logs.secret", "parents.secret", `"Odd Table"."Ssn"`, "generated.ssn", "notified.secret",
}

// canary is one protected value.
type canary struct {
	column string // as in Protected
	kind   kind
	text   string // as PostgreSQL writes it
}

// kind is how a value is searched for.
type kind int

const (
	words kind = iota // a text of letters and digits
	whole             // a number; its bits in binary too
	decimal
	date
	instant
	uuid
	raw // bytes, in hexadecimal
)

// values are the canaries of one side, and the words of the seed that stand for
// them.
type values struct {
	side     Side
	random   *rand.Rand
	canaries []canary
	literals map[string]string // by placeholder
}

// people is how many rows of the table of that name have values.
const people = 4

// newValues makes the canaries of a side. The same side always has the same.
func newValues(side Side) *values {
	v := &values{side: side, random: rand.New(rand.NewPCG(20, uint64(side))), literals: map[string]string{}}
	for row := 1; row <= people; row++ {
		v.person(row)
	}
	for row := 1; row <= 3; row++ {
		for _, column := range []string{"accounts.iban", "logs.secret", "parents.secret", `"Odd Table"."Ssn"`, "generated.ssn", "notified.secret"} {
			v.set(column, row, words, v.word(), "")
		}
	}
	return v
}

// only leaves in those columns that are not masked the literals of the other side.
func (v *values) only(masked []string, other map[string]string) *values {
	for name, literal := range other {
		column := name[1:strings.LastIndexByte(name, ' ')]
		if !slices.Contains(masked, column) {
			v.literals[name] = literal
		}
	}
	return v
}

func (v *values) person(row int) {
	v.set("people.ssn", row, words, v.word(), "")
	v.set("people.card", row, words, v.word(), "")
	v.set("people.email", row, words, v.word()+"@"+v.word()+".example", "")
	salary, bonus := v.number(1_000_000_000, 2_000_000_000), v.number(1e15, 9e15)
	if v.side == Right && row == 2 {
		salary, bonus = 0, -1
	}
	v.set("people.salary", row, whole, fmt.Sprint(salary), "")
	v.set("people.bonus", row, whole, fmt.Sprint(bonus), "")
	v.set("people.net", row, decimal, fmt.Sprintf("%d.%02d", v.number(1e9, 9e9), v.number(10, 99)), "")
	v.set("people.score", row, decimal, fmt.Sprintf("%d.5", v.number(1e9, 9e9)), "")
	v.set("people.born", row, date, v.day().Format(time.DateOnly), "")
	v.set("people.seen", row, instant, v.day().Add(time.Duration(v.number(1, 86_399))*time.Second).Format(time.DateTime), "")
	b := v.bytes(16)
	v.set("people.token", row, uuid, fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), "")
	v.set("people.photo", row, raw, hex.EncodeToString(v.bytes(18+4*int(v.side))), `\x`)
	v.inside("people.doc", row, `{"key": "%s", "n": [1, "%s"]}`)
	v.inside("people.tags", row, []string{`{%s,%s}`, `{%s,%s,x}`}[v.side])
	v.inside("people.home", row, `(%s,%s)`)
	v.set("people.ip", row, words, fmt.Sprintf("10.%d.%d.%d", v.number(100, 250), v.number(100, 250), v.number(100, 250)), "")
	v.literals[placeholder("people.active", row)] = fmt.Sprint(v.side == Right || row%2 == 0)
}

// set keeps a canary; before stands before it in the literal.
func (v *values) set(column string, row int, k kind, text, before string) {
	v.canaries = append(v.canaries, canary{column, k, text})
	v.literals[placeholder(column, row)] = before + text
}

// inside keeps two canaries that stand in one value.
func (v *values) inside(column string, row int, form string) {
	one, two := v.word(), v.word()
	v.canaries = append(v.canaries, canary{column, words, one}, canary{column, words, two})
	v.literals[placeholder(column, row)] = fmt.Sprintf(form, one, two)
}

// word is random letters and digits on the left. On the right it is digits of
// another length: casts to a number fail on one side only.
func (v *values) word() string {
	if v.side == Right {
		return fmt.Sprint(v.number(100_000_000, 999_999_999))
	}
	const letters = "bcdfghjkmnpqrstvwxzBCDFGHJKMNPQRSTVWXZ23456789"
	var b strings.Builder
	for range 14 {
		_ = b.WriteByte(letters[v.random.IntN(len(letters))])
	}
	return b.String()
}

func (v *values) number(low, high int64) int64 { return low + v.random.Int64N(high-low+1) }

func (v *values) day() time.Time {
	return time.Date(1931, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(v.number(0, 20_000)))
}

func (v *values) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v.random.UintN(256))
	}
	return b
}

// placeholder is how the seed names the value of a column in a row.
func placeholder(column string, row int) string {
	return fmt.Sprintf("{%s %d}", column, row)
}

// fill puts the values where a text names them.
func (v *values) fill(text string) string {
	var pairs []string
	for name, value := range v.literals {
		pairs = append(pairs, name, value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
