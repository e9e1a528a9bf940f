package classify

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// The examples are those that authorities and standards publish, and no person's.
func TestChecks(t *testing.T) {
	tests := []struct {
		name   string
		check  func(string) bool
		yes    []string
		no     []string
		chance float64 // of a random text of the shape of the first
	}{
		{"DNI", isDNI, []string{"12345678Z", "12345678-z", "X1234567L"}, []string{"12345678A", "1234567Z", "12345678"}, .06},
		{"NIR", isNIR, []string{"255081416802538", "2 55 08 14 168 025 38"}, []string{"255081416802539", "155081416802538"}, .02},
		{"codice fiscale", isCodiceFiscale, []string{"RSSMRA85T10A562S", "rssmra85t10a562s"}, []string{"RSSMRA85T10A562T", "RSSMRA85T10A562"}, 0.05},
		{"PESEL", isPESEL, []string{"44051401359"}, []string{"44051401358", "44131401359"}, .05},
		{"BSN", isBSN, []string{"111222333"}, []string{"111222334", "111111111", "11122233"}, .12},
		{"CPF", isCPF, []string{"111.444.777-35", "11144477735"}, []string{"11144477736", "11111111111"}, .02},
		{"personnummer", isPersonnummer, []string{"811218-9876", "198112189876"}, []string{"811218-9875", "8112189876", "811318-9876"}, .03},
		{"Steuer-ID", isSteuerID, []string{"86095742719", "86 095 742 719"}, []string{"86095742718", "06095742719", "12345678901"}, .04},
		{"RVNR", isRVNR, []string{"65170839J003", "15070649C103"}, []string{"65170839J004", "65173839J003"}, .05},
		{"password hash", isPasswordHash, []string{
			"$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g", "{SSHA}MTIzNDU2Nzg5MA==",
		}, []string{"$2", "hello", "$100.00", "d41d8cd98f00b204e9800998ecf8427e"}, 1},
		{"international phone", isInternationalPhone, []string{"+49 171 2345678", "+1 (555) 123-4567"}, []string{"0171 2345678", "+1", "+12 apples"}, 1},
		{"phone", isPhone, []string{"(555) 123-4567", "0171/2345678", "5551234567"}, []string{"2024-01-02", "12", "abc"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range tt.yes {
				if !tt.check(v) {
					t.Errorf("%q is one", v)
				}
			}
			for _, v := range tt.no {
				if tt.check(v) {
					t.Errorf("%q is none", v)
				}
			}
			random, hits := rand.New(rand.NewPCG(1, 2)), 0
			for range 2000 {
				if tt.check(alike(random, tt.yes[0])) {
					hits++
				}
			}
			if got := float64(hits) / 2000; got > tt.chance {
				t.Errorf("a random text of its shape passes in %.3f of all cases", got)
			}
		})
	}
}

// alike is a random text of the same shape.
func alike(random *rand.Rand, s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '0' + random.Int32N(10)
		case r >= 'A' && r <= 'Z':
			return 'A' + random.Int32N(26)
		}
		return r
	}, s)
}

func TestPassedTellsWholeValuesFromParts(t *testing.T) {
	bits := func(v string) string {
		whole, inside := passed([]byte(v))
		var out []string
		for i, c := range checks {
			if whole&(1<<i) != 0 {
				out = append(out, c.class)
			}
		}
		return fmt.Sprint(out, inside)
	}
	for v, want := range map[string]string{
		" ann@example.com ":       "[pii.email] 0",
		"write to ann@example.de": "[] 4",
		"4111111111111111":        "[pci.pan pii.phone] 0",
		"4111111111111112":        "[pii.phone] 0",
		"000-12-3456":             "[pii.phone] 0",
		"219-09-9998":             "[pii.ssn pii.phone] 0",
	} {
		if got := bits(v); got != want {
			t.Errorf("%q: %s, want %s", v, got, want)
		}
	}
}
