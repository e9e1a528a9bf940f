// Package shop is the example's database: customers with what should stay
// private, and what they bought. All of it is generated, and the same on every
// machine: the same seed gives the same rows, so tests and the demo can name
// them.
package shop

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The size of the shop that New makes.
const (
	CustomerCount = 10_000
	OrderCount    = 15_000
)

// Seed is the default's seed.
const Seed = 18

// Schema creates the tables, empty.
//
//go:embed schema.sql
var Schema string

// Classification is the classification.yaml of the shop's targets.
//
//go:embed classification.yaml
var Classification []byte

// Customer is a row of customers.
type Customer struct {
	ID        int       `json:"id"`
	Name      string    `json:"name"`
	SSN       string    `json:"ssn"`  // AAA-GG-SSSS, unique
	Card      string    `json:"card"` // 16 digits with a valid check digit
	Email     string    `json:"email"`
	City      string    `json:"city"`
	CreatedAt time.Time `json:"created_at"`
}

// Product is a row of products.
type Product struct {
	ID    int
	Name  string
	Cents int // the price
}

// Order is a row of orders.
type Order struct {
	ID, Customer int
	Status, Note string // an empty note is NULL
	CreatedAt    time.Time
}

// Item is a row of order_items.
type Item struct {
	Order, Line, Product, Quantity int
	Cents                          int // the price of one
}

// Shop is all rows.
type Shop struct {
	Customers []Customer
	Products  []Product
	Orders    []Order
	Items     []Item
}

// New makes the shop of a seed.
func New(seed uint64) *Shop {
	g := &generator{rand.New(rand.NewPCG(seed, seed))}
	s := &Shop{Products: g.products()}
	for id := 1; id <= CustomerCount; id++ {
		s.Customers = append(s.Customers, g.customer(id))
	}
	for id := 1; id <= OrderCount; id++ {
		order := g.order(id, s.Customers)
		s.Orders = append(s.Orders, order)
		for line := range 1 + g.IntN(3) {
			product := s.Products[g.IntN(len(s.Products))]
			s.Items = append(s.Items, Item{Order: id, Line: line + 1, Product: product.ID, Quantity: 1 + g.IntN(4), Cents: product.Cents})
		}
	}
	return s
}

type generator struct{ *rand.Rand }

func (g *generator) pick(words []string) string { return words[g.IntN(len(words))] }

// epoch is before every date in the shop.
var epoch = time.Date(2023, time.January, 1, 0, 0, 0, 0, time.UTC)

func (g *generator) moment(days int) time.Time {
	return epoch.Add(time.Duration(g.IntN(days*24*60*60)) * time.Second)
}

func (g *generator) customer(id int) Customer {
	first, last := g.pick(firstNames), g.pick(lastNames)
	return Customer{
		ID:        id,
		Name:      first + " " + last,
		SSN:       ssn(id),
		Card:      g.card(),
		Email:     strings.ToLower(fmt.Sprintf("%s.%s%d@%s", first, last, id, g.pick(mailDomains))),
		City:      g.pick(cities),
		CreatedAt: g.moment(365),
	}
}

// ssn is a number of the right form, without the areas that are never given
// out (000, 666, 9xx): a detector takes it for a real one. The steps have no
// common factor with what they wrap at, so no two customers share one.
func ssn(id int) string {
	area, group, serial := 1+id*41%665, 1+id*37%99, 1+id*7919%9973
	return fmt.Sprintf("%03d-%02d-%04d", area, group, serial)
}

// card is a 16-digit test number; its last digit is the check digit of ISO/IEC
// 7812-1 (the Luhn formula).
func (g *generator) card() string {
	digits := g.pick(cardPrefixes) + fmt.Sprintf("%09d", g.IntN(1_000_000_000))
	sum := 0
	for i, r := range digits {
		d := int(r - '0')
		if i%2 == 0 { // every second digit from the right, the check digit being the first
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + fmt.Sprint((10-sum%10)%10)
}

func (g *generator) products() []Product {
	var products []Product
	for _, look := range looks {
		for _, kind := range kinds {
			products = append(products, Product{ID: len(products) + 1, Name: look + " " + kind, Cents: 500 + g.IntN(40_000)})
		}
	}
	return products
}

func (g *generator) order(id int, customers []Customer) Order {
	customer := customers[g.IntN(len(customers))]
	return Order{
		ID: id, Customer: customer.ID, Status: g.pick(statuses), Note: g.note(customer),
		CreatedAt: customer.CreatedAt.Add(g.moment(365).Sub(epoch)),
	}
}

// note is what staff types into a free text field: mostly nothing, sometimes
// what belongs elsewhere.
func (g *generator) note(c Customer) string {
	switch g.IntN(40) {
	case 0:
		return "Paid by phone, card " + c.Card + ", call back if it fails."
	case 1:
		return "Asked for the invoice at " + c.Email
	case 2:
		return "Identity checked by SSN " + c.SSN + "."
	case 3, 4, 5:
		return "Leave it at the door."
	default:
		return ""
	}
}
