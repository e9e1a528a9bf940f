package classify

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// luhned makes a card number that passes, of the digits that it begins with.
func luhned(random *rand.Rand, prefix string, length int) string {
	d := []byte(prefix)
	for len(d) < length-1 {
		d = append(d, byte('0'+random.IntN(10)))
	}
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
	return string(append(d, byte('0'+(10-sum%10)%10)))
}

func TestJudge(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	digits := func(n int) func(int) string {
		return func(int) string {
			return strings.Map(func(rune) rune { return '0' + random.Int32N(10) }, strings.Repeat("x", n))
		}
	}
	mail := func(i int) string { return fmt.Sprintf("person%d@example.com", i) }
	card := func(int) string { return luhned(random, "4", 16) }
	dashed := func(i int) string { return fmt.Sprintf("%03d-%02d-%04d", 100+i%500, 1+i%98, 1+i) }
	constant := func(s string) func(int) string { return func(int) string { return s } }
	tests := []struct {
		name   string
		people bool
		family family
		make   func(int) string
		n      int
		want   string
	}{
		{"email", true, text, mail, 100, "pii.email high"},
		{"c17", false, text, mail, 100, "pii.email high"},
		{"c17", false, text, mail, 1, "pii.email medium"},
		{"email", true, text, nil, 0, "pii.email medium"},
		{"email", true, text, constant("x"), 100, "pii.email medium"}, // one value says little
		{"email", true, text, digits(20), 100, "pii.email low"},       // hashed, or misnamed
		{"email", true, flag, nil, 0, ""},
		{"ref", false, text, card, 100, "pci.pan high"},
		{"order_number", false, text, digits(16), 1000, ""},
		{"order_number", false, text, func(int) string { return "4" + digits(15)(0) }, 1000, ""},
		{"card_number", false, integer, card, 100, "pci.pan high"},
		{"card_number", false, text, digits(16), 100, "pci.pan low"},
		{"card", false, text, constant("ace of spades"), 100, "pci.pan medium"},
		{"ssn", false, text, dashed, 100, "pii.ssn high"},
		{"x", false, text, dashed, 100, "pii.ssn high"},
		{"ssn", false, text, func(i int) string { return strings.ReplaceAll(dashed(i), "-", "") }, 100, "pii.ssn high"},
		{"ref9", false, text, digits(9), 100, ""},
		{"last_name", false, text, constant("x"), 5, "pii.name high"},
		{"name", true, text, constant("x"), 5, "pii.name medium"},
		{"salary", false, number, nil, 0, "hr.salary medium"},
		{"phone", true, text, func(i int) string { return fmt.Sprintf("(555) 123-%04d", i) }, 50, "pii.phone high"},
		{"c1", false, text, func(i int) string { return fmt.Sprintf("+49 171 23%05d", i) }, 50, "pii.phone medium"},
		{"contact", false, text, func(i int) string {
			if i%2 == 0 {
				return mail(i)
			}
			return fmt.Sprintf("+49 171 23%05d", i)
		}, 100, "pii.email medium, pii.phone medium"},
		{"version", false, text, func(i int) string { return fmt.Sprintf("1.2.3.%d", i%200) }, 100, "pii.ip medium"},
		{"dni", false, text, constant("12345678Z"), 1, "pii.national_id high"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.want, func(t *testing.T) {
			s := subject{name: tt.name, people: tt.people, family: tt.family, values: &values{}, sampled: true}
			for i := range tt.n {
				s.values.add([]byte(tt.make(i)))
			}
			var got []string
			for _, g := range judge(s) {
				got = append(got, g.class+" "+string(g.confidence))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("%s\n%+v", diff, judge(s))
			}
		})
	}
}

func TestComments(t *testing.T) {
	for comment, want := range map[string]string{
		"Social security number":            "pii.ssn medium",
		"Geburtsdatum des Kunden":           "pii.birth_date medium",
		"set when the row is made":          "",
		"the email of the person who filed": "pii.email medium",
		"a long story of how this came to be, in which somewhere the ssn is mentioned": "pii.ssn low",
	} {
		got := ""
		for _, g := range judge(subject{name: "c17", comment: comment, family: text}) {
			got = g.class + " " + string(g.confidence)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", comment, got, want)
		}
	}
}

func TestShapeTellsNoValue(t *testing.T) {
	for value, want := range map[string]string{
		"219-09-9998": "999-99-9999", "AB12 cd": "AA99 aa", "Meier": "", "§1!": "?9?", strings.Repeat("1", 40): "",
	} {
		if got := shape([]byte(value)); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}
