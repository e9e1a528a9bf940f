package shop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is one table's rows as COPY's text format has them (PostgreSQL
// documentation, COPY, "Text Format").
type table struct {
	name    string
	columns string
	rows    func(yield func(row string))
}

// Load creates the tables in an empty database and fills them.
func (s *Shop) Load(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.PgConn().Exec(ctx, Schema).ReadAll(); err != nil {
		return fmt.Errorf("creating the shop's tables: %w", err)
	}
	for _, t := range s.tables() {
		r, w := io.Pipe()
		go func() { _ = w.CloseWithError(t.write(w)) }()
		_, err := conn.PgConn().CopyFrom(ctx, r, t.copySQL())
		_ = r.Close()
		if err != nil {
			return fmt.Errorf("filling %s: %w", t.name, err)
		}
	}
	_, err := conn.Exec(ctx, "ANALYZE")
	return err
}

// WriteSQL writes a script that does what Load does, for psql.
func (s *Shop) WriteSQL(w io.Writer) error {
	out := bufio.NewWriter(w)
	_, _ = fmt.Fprintln(out, Schema) // bufio keeps the first error for Flush
	for _, t := range s.tables() {
		_, _ = fmt.Fprintf(out, "%s;\n", t.copySQL())
		if err := t.write(out); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out, `\.`)
	}
	_, _ = fmt.Fprintln(out, "ANALYZE;")
	return out.Flush()
}

func (t table) copySQL() string { return fmt.Sprintf("COPY %s (%s) FROM STDIN", t.name, t.columns) }

func (t table) write(w io.Writer) error {
	out := bufio.NewWriter(w)
	t.rows(func(row string) { _, _ = out.WriteString(row + "\n") })
	return out.Flush()
}

const timestamp = "2006-01-02 15:04:05-07"

func (s *Shop) tables() []table {
	return []table{
		{"customers", "id, name, ssn, card, email, city, created_at", func(yield func(string)) {
			for _, c := range s.Customers {
				yield(row(c.ID, c.Name, c.SSN, c.Card, c.Email, c.City, c.CreatedAt.Format(timestamp)))
			}
		}},
		{"products", "id, name, price", func(yield func(string)) {
			for _, p := range s.Products {
				yield(row(p.ID, p.Name, money(p.Cents)))
			}
		}},
		{"orders", "id, customer, status, note, created_at", func(yield func(string)) {
			for _, o := range s.Orders {
				note := o.Note
				if note == "" {
					note = `\N`
				}
				yield(row(o.ID, o.Customer, o.Status, note, o.CreatedAt.Format(timestamp)))
			}
		}},
		{"order_items", "order_id, line, product, quantity, price", func(yield func(string)) {
			for _, i := range s.Items {
				yield(row(i.Order, i.Line, i.Product, i.Quantity, money(i.Cents)))
			}
		}},
	}
}

// row joins cells; the generated words hold nothing that COPY would escape.
func row(cells ...any) string {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = fmt.Sprint(cell)
	}
	return strings.Join(texts, "\t")
}

func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
