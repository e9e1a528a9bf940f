package detect

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// An account of every country is found, in one row and in groups of four, and none
// with another digit in its place.
func TestAccountsOfAllCountries(t *testing.T) {
	for country, structure := range structures {
		number := accountOf(country, structure)
		var groups []string
		for i := 0; i < len(number); i += 4 {
			groups = append(groups, number[i:min(i+4, len(number))])
		}
		for _, text := range []string{number, strings.ToLower(number), strings.Join(groups, " ")} {
			if got := marked("to "+text+", please", Of(IBAN)); len(got) != 1 || got[0] != "iban:"+text {
				t.Errorf("%s: %q", text, got)
			}
		}
		last := number[len(number)-1]
		if got := marked(number[:len(number)-1]+string(last^1), Of(IBAN)); got != nil {
			t.Errorf("a wrong digit: %q", got)
		}
	}
}

// accountOf makes a number of a structure, with its check digits.
func accountOf(country, structure string) string {
	var account strings.Builder
	for rest := structure; rest != ""; {
		var count int
		var kind byte
		count, kind, rest = nextPart(rest)
		for i := range count {
			if kind == 'a' {
				account.WriteByte(byte('A' + i%26))
			} else {
				account.WriteByte(byte('0' + i%10))
			}
		}
	}
	var digits strings.Builder
	for _, c := range account.String() + country + "00" {
		if isDigit(byte(c)) {
			digits.WriteRune(c)
		} else {
			fmt.Fprint(&digits, c-'A'+10)
		}
	}
	n, _ := new(big.Int).SetString(digits.String(), 10)
	check := 98 - new(big.Int).Mod(n, big.NewInt(97)).Int64()
	return fmt.Sprintf("%s%02d%s", country, check, account.String())
}
