package classify

import (
	"regexp"
	"strings"
)

// digitsOf are the digits of a number that may be written with separators; nil where
// anything else is in it, or their number is not n.
func digitsOf(s string, n int, separators string) []int {
	out := make([]int, 0, n)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			out = append(out, int(c-'0'))
		case strings.IndexByte(separators, c) < 0:
			return nil
		}
	}
	if len(out) != n {
		return nil
	}
	return out
}

func allEqual(d []int) bool {
	for _, x := range d {
		if x != d[0] {
			return false
		}
	}
	return true
}

// weighed is the sum of digits, each times its weight.
func weighed(d []int, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += d[i] * w
	}
	return sum
}

func isDate(month, day int) bool { return month >= 1 && month <= 12 && day >= 1 && day <= 31 }

var dni = regexp.MustCompile(`^(?i)([XYZ]|\d)(\d{7})-?([A-Z])$`)

// isDNI checks the letter of a Spanish DNI or NIE: the number modulo 23 (Real Decreto
// 1553/2005, article 11).
func isDNI(s string) bool {
	m := dni.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	first := strings.IndexAny("XYZ", strings.ToUpper(m[1]))
	if first < 0 {
		first = int(m[1][0] - '0')
	}
	n := first
	for _, c := range m[2] {
		n = n*10 + int(c-'0')
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[n%23] == strings.ToUpper(m[3])[0]
}

var nir = regexp.MustCompile(`^[12378]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{3}\d{3}\d{2}$`)

// isNIR checks a French social security number: 97 less the number modulo 97, where 2A
// counts as 19 and 2B as 18 (INSEE).
func isNIR(s string) bool {
	s = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s))
	if !nir.MatchString(s) {
		return false
	}
	s = strings.NewReplacer("2A", "19", "2B", "18").Replace(s)
	n := 0
	for _, c := range s[:13] {
		n = (n*10 + int(c-'0')) % 97
	}
	return 97-n == int(s[13]-'0')*10+int(s[14]-'0')
}

var codiceFiscale = regexp.MustCompile(`^[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]$`)

// isCodiceFiscale checks an Italian fiscal code and its check letter (Decreto
// ministeriale 23 December 1976).
func isCodiceFiscale(s string) bool {
	s = strings.ToUpper(s)
	if !codiceFiscale.MatchString(s) {
		return false
	}
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i, c := range []byte(s[:15]) {
		v := int(c - 'A')
		if c <= '9' {
			v = int(c - '0')
		}
		if i%2 == 0 { // the first, third, …
			v = odd[v]
		}
		sum += v
	}
	return byte('A'+sum%26) == s[15]
}

// isPESEL checks a Polish PESEL: a date, with the century in its month, and a check digit.
func isPESEL(s string) bool {
	d := digitsOf(s, 11, "")
	return d != nil && isDate((d[2]*10+d[3])%20, d[4]*10+d[5]) &&
		(10-weighed(d, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == d[10]
}

// isBSN checks a Dutch BSN: the test by eleven.
func isBSN(s string) bool {
	d := digitsOf(s, 9, ".")
	return d != nil && !allEqual(d) && weighed(d, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0
}

// isCPF checks both check digits of a Brazilian CPF.
func isCPF(s string) bool {
	d := digitsOf(s, 11, ".-")
	if d == nil || allEqual(d) {
		return false
	}
	one := weighed(d, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	two := weighed(d, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	return one == d[9] && two == d[10]
}

// isPersonnummer checks a Swedish personal number: a date, and Luhn over ten digits.
func isPersonnummer(s string) bool {
	d := digitsOf(s, 12, "-+")
	if d != nil {
		d = d[2:]
	} else if d = digitsOf(s, 10, "-+"); d == nil || !strings.ContainsAny(s, "-+") {
		return false
	}
	if !isDate(d[2]*10+d[3], d[4]*10+d[5]) {
		return false
	}
	sum := 0
	for i, x := range d {
		if i%2 == 0 {
			x *= 2
		}
		sum += x/10 + x%10
	}
	return sum%10 == 0
}

// isSteuerID checks a German tax id: of the first ten digits one occurs two or three times
// and the others once at most, and the last is by ISO 7064, mod 11,10 (§ 139b AO).
func isSteuerID(s string) bool {
	d := digitsOf(s, 11, " /")
	if d == nil || d[0] == 0 {
		return false
	}
	var times [10]int
	for _, x := range d[:10] {
		times[x]++
	}
	repeated := 0
	for _, n := range times {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	if repeated != 1 {
		return false
	}
	product := 10
	for _, x := range d[:10] {
		sum := (x + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	return (11-product)%10 == d[10]
}

var rvnr = regexp.MustCompile(`^\d{8}[A-Z]\d{3}$`)

// isRVNR checks a German social insurance number: area, date of birth, the name's first
// letter, a serial number and a check digit (VKVV § 4).
func isRVNR(s string) bool {
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	if !rvnr.MatchString(s) || !isDate(int(s[4]-'0')*10+int(s[5]-'0'), 1) {
		return false
	}
	letter := int(s[8]-'A') + 1
	d := make([]int, 0, 12)
	for i := range 8 {
		d = append(d, int(s[i]-'0'))
	}
	d = append(d, letter/10, letter%10, int(s[9]-'0'), int(s[10]-'0'))
	sum := 0
	for i, w := range []int{2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1} {
		x := d[i] * w
		sum += x/10 + x%10
	}
	return sum%10 == int(s[11]-'0')
}
