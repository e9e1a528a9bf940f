package shop_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/examples/shop"
	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/classification"
)

func TestSameSeedSameShop(t *testing.T) {
	if diff := cmp.Diff(shop.New(shop.Seed), shop.New(shop.Seed)); diff != "" {
		t.Error(diff)
	}
}

func TestCustomers(t *testing.T) {
	form := regexp.MustCompile(`^\d{3}-\d{2}-\d{4}$`)
	ssns := map[string]bool{}
	for _, c := range shop.New(shop.Seed).Customers {
		if !form.MatchString(c.SSN) || ssns[c.SSN] || c.SSN[:3] == "000" || c.SSN[:3] == "666" || c.SSN[0] == '9' || c.SSN[4:6] == "00" || c.SSN[7:] == "0000" {
			t.Fatalf("customer %d: SSN %s", c.ID, c.SSN)
		}
		ssns[c.SSN] = true
		if len(c.Card) != 16 || !luhn(c.Card) {
			t.Fatalf("customer %d: card %s", c.ID, c.Card)
		}
	}
	if len(ssns) != shop.CustomerCount {
		t.Errorf("%d customers", len(ssns))
	}
}

func luhn(number string) bool {
	sum := 0
	for i := range number {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
			d = d/10 + d%10
		}
		sum += d
	}
	return sum%10 == 0
}

// Both ways into a database, the driver's COPY and the script through psql,
// give the rows that the generator says.
func TestLoad(t *testing.T) {
	paths := parts.Need(t, parts.Postgres, parts.Clients)
	s := shop.New(shop.Seed)
	server := postgres.Test(t, postgres.Options{Databases: []string{"loaded", "scripted"}})
	conn, err := server.Connect(t.Context(), "loaded")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := s.Load(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	if err := s.WriteSQL(&script); err != nil {
		t.Fatal(err)
	}
	psql := exec.Command(paths.Psql(), "-Xq", "-v", "ON_ERROR_STOP=1", server.DSN("scripted"))
	psql.Stdin = &script
	if out, err := psql.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	want := fmt.Sprintf("%d|%d|%d|%d|%s", len(s.Customers), len(s.Products), len(s.Orders), len(s.Items), s.Customers[41].Card)
	const count = `select concat_ws('|', (select count(*) from customers), (select count(*) from products),
		(select count(*) from orders), (select count(*) from order_items), (select card from customers where id = 42))`
	for _, database := range []string{"loaded", "scripted"} {
		out, err := exec.Command(paths.Psql(), "-XAtq", server.DSN(database), "-c", count).CombinedOutput()
		if got := string(bytes.TrimSpace(out)); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", database, got, err, want)
		}
	}
}

func TestClassification(t *testing.T) {
	c, err := classification.Parse("classification.yaml", shop.Classification)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Column("shop", "public", "customers", "card"); !cmp.Equal(got, []string{"pci.pan"}) {
		t.Errorf("classes of the card: %v", got)
	}
	if got := len(c.Paths("customers-api")); got != 4 {
		t.Errorf("%d paths", got)
	}
}
