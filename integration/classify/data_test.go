package classify_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// filler makes values that look real and are nobody's. It remembers those that must never be
// printed.
type filler struct {
	random *rand.Rand
	secret []string
}

func newFiller() *filler { return &filler{random: rand.New(rand.NewPCG(11, 12))} }

func (f *filler) keep(s string) string {
	f.secret = append(f.secret, s)
	return s
}

func (f *filler) digits(n int) string {
	return strings.Map(func(rune) rune { return '0' + f.random.Int32N(10) }, strings.Repeat("x", n))
}

func (f *filler) one(of ...string) string { return of[f.random.IntN(len(of))] }

func (f *filler) letters(n int) string {
	return strings.Map(func(rune) rune { return 'a' + f.random.Int32N(26) }, strings.Repeat("x", n))
}

func (f *filler) name() string { return f.keep(strings.ToUpper(f.letters(1)) + f.letters(9)) }

func (f *filler) mail() string { return f.keep(f.letters(8) + "@" + f.letters(6) + ".example") }

func (f *filler) ssn() string {
	return f.keep(fmt.Sprintf("%03d-%02d-%04d", 100+f.random.IntN(500), 1+f.random.IntN(99), 1+f.random.IntN(9999)))
}

func (f *filler) card() string {
	d := []byte("4" + f.digits(14))
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i] - '0')
		if i%2 == 0 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return f.keep(string(append(d, byte('0'+(10-sum%10)%10))))
}

func (f *filler) iban() string {
	account := f.digits(18)
	n := 0
	for _, c := range account + "131400" { // D, E, 00
		n = (n*10 + int(c-'0')) % 97
	}
	return f.keep(fmt.Sprintf("DE%02d%s", 98-n, account))
}

func (f *filler) dni() string {
	n := f.random.IntN(100_000_000)
	return f.keep(fmt.Sprintf("%08d%c", n, "TRWAGMYFPDXBNJZSQVHLCKE"[n%23]))
}

func (f *filler) phone() string { return f.keep("+49 171 " + f.digits(7)) }

func (f *filler) day() time.Time {
	return time.Date(1950+f.random.IntN(50), time.Month(1+f.random.IntN(12)), 1+f.random.IntN(28), 0, 0, 0, 0, time.UTC)
}

func (f *filler) jwt() string {
	enc := base64.RawURLEncoding.EncodeToString
	return f.keep(enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc([]byte(`{"sub":"`+f.letters(10)+`"}`)) + "." + enc([]byte(f.letters(32))))
}

func (f *filler) words(n int) string {
	var out []string
	for range n {
		out = append(out, f.one("the", "order", "arrived", "late", "please", "call", "again", "blue", "box", "was", "open"))
	}
	return strings.Join(out, " ")
}

func (f *filler) street() string { return f.keep(f.name() + " Street " + f.digits(2)) }

const people = 200

// fill loads the schema's tables.
func (f *filler) fill(ctx context.Context, conn *pgx.Conn) error {
	now := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, t := range []struct {
		table string
		row   func(i int) []any
	}{
		{"public.customers", func(i int) []any {
			notes := f.words(12)
			if i%20 == 0 {
				notes += " write to " + f.mail()
			}
			return []any{
				i, f.name(), f.mail(), f.phone(), f.ssn(), f.day(), f.street(), f.one("Oslo", "Bern"), f.digits(5), "DE", now, now, true, false, i % 5,
				map[string]any{"theme": "dark", "newsletter": f.mail(), "sizes": []int{i}}, notes,
			}
		}},
		{"public.customers_backup_2023", func(i int) []any { return []any{i, f.mail(), f.ssn(), f.card()} }},
		{"public.orders", func(i int) []any {
			return []any{i, f.digits(16), i, f.one("new", "paid"), 12.5, "EUR", now, "1Z" + strings.ToUpper(f.letters(4)) + f.digits(10), f.street(), fmt.Sprintf("10.1.%d.%d", i%250, 1+i%200), "Mozilla/5.0 (X11) rv:" + f.digits(3)}
		}},
		{"public.payments", func(i int) []any {
			return []any{i, i, f.card(), f.one("visa", "amex"), f.digits(4), f.one("01/29", "02/28"), f.digits(3), f.name() + " " + f.name(), f.iban(), 12.5, "pay_" + f.letters(18), f.one("card", "sepa")}
		}},
		{"public.products", func(i int) []any {
			return []any{i, f.words(2), f.letters(3) + "-" + f.digits(5), f.digits(13), f.words(20), 9.99, "https://img.example/" + f.letters(8) + ".png", fmt.Sprintf("%d.%d.%d", i%9, i%7, i)}
		}},
		{"public.sessions", func(i int) []any {
			return []any{fmt.Sprintf("00000000-0000-4000-8000-%012d", i), i, f.keep(f.letters(40)), f.jwt(), now, fmt.Sprintf("192.168.%d.%d", i%250, 1+i%200)}
		}},
		{"public.tickets", func(i int) []any {
			body := f.words(30)
			if i%10 == 0 {
				body += ". My card is " + f.card() + " and my account " + f.iban()
			}
			return []any{i, f.words(4), body, f.one("web", "app")}
		}},
		{"public.events", func(i int) []any {
			return []any{i, now.AddDate(0, i%8, 0), f.mail(), f.one("login", "logout"), map[string]any{"user": map[string]any{"email": f.mail(), "name": f.name()}, "count": i, "tags": []string{"a", "b"}}}
		}},
		{"hr.employees", func(i int) []any {
			return []any{
				i, f.name(), f.name(), f.mail(), 1000 + i, f.one("f", "m"), f.one("none", "x"), f.keep(f.digits(2) + "-" + f.digits(7)), f.keep("$2b$12$" + f.letters(53)), i / 10, f.one("it", "sales"), now,
				f.one("3rd floor", "1st floor"), "B" + f.digits(5),
			}
		}},
		{"hr.c_levels", func(i int) []any { return []any{i, strings.ReplaceAll(f.ssn(), "-", ""), f.letters(3)} }},
		{"filiale.kunden", func(i int) []any {
			return []any{i, f.name(), f.name(), f.day(), f.name() + "straße 3", f.digits(5), f.one("Köln", "Ulm"), "0171/" + f.digits(7), f.keep(f.digits(11)), f.keep(f.digits(10)), f.iban(), f.one("A", "B"), i % 9, now}
		}},
		{"filiale.bestellungen", func(i int) []any { return []any{f.digits(10), i, f.words(1), i % 5, 3.5, f.words(5)} }},
		{"tienda.clientes", func(i int) []any {
			return []any{i, f.name(), f.name() + " " + f.name(), f.dni(), f.mail(), f.phone(), "Calle " + f.name(), f.day(), f.keep(f.letters(12)), f.card(), f.one("oro", "plata"), i}
		}},
		{"tienda.productos", func(i int) []any { return []any{i, f.words(2), 2.5, f.words(9)} }},
		{"ops.services", func(i int) []any {
			return []any{i, f.letters(6), f.letters(5) + ".internal", "0.0.0.0:80", f.keep(f.letters(32)), f.keep("AKIA" + strings.ToUpper(f.letters(16))), "1.2." + f.digits(2), 8000 + i, f.letters(64)}
		}},
		{"ops.hidden", func(i int) []any { return []any{i, f.keep(f.letters(20))} }},
		{"ops.measurements", func(i int) []any {
			return []any{i, f.random.Float64() * 40, 1e3 + f.random.Float64()*1e3, 4_000_000_000_000 + f.random.Int64N(1e12), "SN" + f.digits(9), fmt.Sprintf("%x", f.letters(20))}
		}},
	} {
		rows := make([][]any, 0, people)
		for i := range people {
			rows = append(rows, t.row(i))
		}
		list, err := conn.Query(ctx, "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = '' ORDER BY attnum", t.table)
		if err != nil {
			return err
		}
		columns, err := pgx.CollectRows(list, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if _, err := conn.CopyFrom(ctx, pgx.Identifier(strings.Split(t.table, ".")), columns, pgx.CopyFromRows(rows)); err != nil {
			return fmt.Errorf("%s: %w", t.table, err)
		}
	}
	_, err := conn.Exec(ctx, "ANALYZE")
	return err
}
