package conformance

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// sqlType is a type that columns of a random schema have.
type sqlType struct {
	name  string
	plain func(r *rand.Rand) string               // a literal without quotes, the same on both sides
	place func(v *values, column string, row int) // sets a canary
}

func text(v *values, column string, row int) { v.set(column, row, words, v.word(), "") }

// sqlTypes are the types by what expressions call them. text is the most common, as
// most that can be done is done with it.
var sqlTypes = []*sqlType{
	{"text", func(r *rand.Rand) string { return fmt.Sprintf("plain %d", r.IntN(90)) }, text},
	{"text", func(r *rand.Rand) string { return fmt.Sprintf("Word%d", r.IntN(9)) }, text},
	{"int", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(50)) }, func(v *values, column string, row int) {
		v.set(column, row, whole, fmt.Sprint(v.number(1_000_000_000, 2_000_000_000)), "")
	}},
	{"bigint", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(5000)) }, func(v *values, column string, row int) {
		v.set(column, row, whole, fmt.Sprint(v.number(1e15, 9e15)), "")
	}},
	{"numeric", func(r *rand.Rand) string { return fmt.Sprintf("%d.5", r.IntN(90)) }, func(v *values, column string, row int) {
		v.set(column, row, decimal, fmt.Sprintf("%d.%02d", v.number(1e9, 9e9), v.number(10, 99)), "")
	}},
	{"varchar(40)", func(r *rand.Rand) string { return fmt.Sprintf("v%d", r.IntN(9)) }, text},
	{"shouted", func(r *rand.Rand) string { return fmt.Sprintf("S%d", r.IntN(9)) }, text},
	{"date", func(r *rand.Rand) string { return fmt.Sprintf("2026-02-%02d", 1+r.IntN(27)) }, func(v *values, column string, row int) {
		v.set(column, row, date, v.day().Format(time.DateOnly), "")
	}},
	{"timestamp", func(r *rand.Rand) string { return fmt.Sprintf("2026-02-%02d 10:00:00", 1+r.IntN(27)) }, func(v *values, column string, row int) {
		v.set(column, row, instant, v.day().Add(time.Duration(v.number(1, 86_399))*time.Second).Format(time.DateTime), "")
	}},
	{"float8", func(r *rand.Rand) string { return fmt.Sprintf("%d.25", r.IntN(9)) }, func(v *values, column string, row int) {
		v.set(column, row, decimal, fmt.Sprintf("%d.5", v.number(1e9, 9e9)), "")
	}},
	{"jsonb", func(r *rand.Rand) string { return fmt.Sprintf(`{"key": "k%d", "n": [%d]}`, r.IntN(9), r.IntN(9)) }, func(v *values, column string, row int) {
		v.inside(column, row, `{"key": "%s", "n": [1, "%s"]}`)
	}},
	{"text[]", func(r *rand.Rand) string { return fmt.Sprintf("{a%d,b}", r.IntN(9)) }, func(v *values, column string, row int) {
		v.inside(column, row, []string{`{%s,%s}`, `{%s,%s,x}`}[v.side])
	}},
	{"pair", func(r *rand.Rand) string { return fmt.Sprintf("(a%d,%d)", r.IntN(9), r.IntN(9)) }, func(v *values, column string, row int) {
		v.set(column, row, words, v.word(), "")
		v.literals[placeholder(column, row)] = fmt.Sprintf("(%s,%d)", v.literals[placeholder(column, row)], v.number(1, 1e9))
	}},
	{"bytea", func(r *rand.Rand) string { return fmt.Sprintf(`\x%04x`, r.IntN(9999)) }, func(v *values, column string, row int) {
		v.set(column, row, raw, hex.EncodeToString(v.bytes(18+4*int(v.side))), `\x`)
	}},
	{"uuid", func(r *rand.Rand) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", r.IntN(9)) }, func(v *values, column string, row int) {
		b := v.bytes(16)
		v.set(column, row, uuid, fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), "")
	}},
	{"inet", func(r *rand.Rand) string { return fmt.Sprintf("192.168.0.%d", r.IntN(9)) }, func(v *values, column string, row int) {
		v.set(column, row, words, fmt.Sprintf("10.%d.%d.%d", v.number(100, 250), v.number(100, 250), v.number(100, 250)), "")
	}},
	// Too few values to be looked for: that both sides differ shows them.
	{"bool", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(2) == 0) }, func(v *values, column string, row int) {
		v.literals[placeholder(column, row)] = fmt.Sprint(v.side == Right || row%2 == 0)
	}},
	{"mood", func(r *rand.Rand) string { return []string{"low", "high"}[r.IntN(2)] }, func(v *values, column string, row int) {
		v.literals[placeholder(column, row)] = []string{"low", "high"}[(row+int(v.side))%2]
	}},
}
