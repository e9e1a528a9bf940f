package detect

// number is at the first digit of a group. It looks for an account number that
// begins two letters before it, then for a card or social security number, and
// returns where to go on.
func (s *scanner) number(i int) int {
	if s.want.Has(IBAN) && i-2 >= s.from && isLetter(s.at(i-1)) && isLetter(s.at(i-2)) && !isASCIIWord(s.at(i-3)) {
		if end := account(s.text[i-2:]); end > 0 && !isASCIIWord(s.at(i-2+end)) {
			return s.add(i-2, i-2+end, IBAN)
		}
	}
	end := i
	for end < len(s.text) && isDigit(s.text[end]) {
		end++
	}
	if s.want&Of(CreditCard, USSSN) == 0 || end-i < 9 && !joined(s.text, end) || !s.begins(i) {
		return end
	}
	var g groups
	end = g.read(s.text, i)
	// What stands in a row may be several: "4111 1111 1111 1111 123".
	for from := 0; from < g.n; {
		if g.more == ' ' && g.n-from < longestForm { // what follows may belong to it
			return g.start[from]
		}
		n, d := s.numbers(&g, from)
		if n == 0 {
			from++
			continue
		}
		s.add(g.start[from], g.end[from+n-1], d)
		from += n
	}
	return end
}

// joined says whether a group of digits that ends at i has another behind it.
func joined(text []byte, i int) bool {
	return i+1 < len(text) && (text[i] == ' ' || text[i] == '-') && isDigit(text[i+1])
}

// numbers finds the longest wanted number that groups from one on make.
func (s *scanner) numbers(g *groups, from int) (n int, d Detector) {
	if from > 0 && g.separator[from] != ' ' { // in the middle of something else
		return 0, 0
	}
	longest := longestForm
	switch size := g.end[from] - g.start[from]; {
	case size >= 9:
		longest = 1
	case size != 3 && size != 4 && size != 6: // nothing wanted begins so
		return 0, 0
	}
	for n := min(g.n-from, longest); n > 0; n-- {
		if from+n < g.n && g.separator[from+n] != ' ' || from+n == g.n && (g.more == '-' || g.more == 0 && !s.ends(g.end[from+n-1])) {
			continue
		}
		switch {
		case s.want.Has(CreditCard) && g.card(s.text, from, n):
			return n, CreditCard
		case s.want.Has(USSSN) && g.ssn(s.text, from, n):
			return n, USSSN
		}
	}
	return 0, 0
}

// begins says whether a number may begin at i: not within a word, a float, a UUID
// or another row of digits.
func (s *scanner) begins(i int) bool {
	switch c := s.at(i - 1); c {
	case '.': // the end of a sentence, or within a number
		return isLetter(s.at(i - 2))
	case '-', '+': // a UUID, an exponent, a time zone, a negative number
		return false
	case 'B': // track 1 of a card (ISO/IEC 7813)
		return s.at(i-2) == '%'
	default:
		return !isASCIIWord(c) || s.escaped(i)
	}
}

// escaped says whether an escaped white space ends before i: a text within a text.
func (s *scanner) escaped(i int) bool {
	c := s.at(i - 1)
	return (c == 'n' || c == 'r' || c == 't') && s.at(i-2) == '\\'
}

// ends says whether a number may end before i.
func (s *scanner) ends(i int) bool {
	switch c := s.at(i); c {
	case '.':
		return !isDigit(s.at(i + 1))
	case '-', '+':
		return !isASCIIWord(s.at(i + 1))
	default:
		return !isASCIIWord(c)
	}
}

// isASCIIWord says whether a byte belongs to the word that digits stand in. Many
// scripts have no space between words and numbers.
func isASCIIWord(c byte) bool { return isAlnum(c) || c == '_' }

// longestForm is how many groups a number may be written in.
const longestForm = 5

// groups are groups of digits with single spaces or hyphens between them.
type groups struct {
	start, end [16]int
	separator  [16]byte // in front of each
	n          int
	more       byte // what separates the last from one that is not held here
}

// read reads groups from i on and returns their end.
func (g *groups) read(text []byte, i int) int {
	for {
		start := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		g.start[g.n], g.end[g.n] = start, i
		g.n++
		if !joined(text, i) {
			return i
		}
		if g.n == len(g.start) {
			g.more = text[i]
			return i
		}
		g.separator[g.n] = text[i]
		i++
	}
}

// uniform says whether n groups are separated by the same character, and their
// sizes.
func (g *groups) uniform(from, n int) (sizes [longestForm]int, ok bool) {
	for i := range n {
		if i > 1 && g.separator[from+i] != g.separator[from+1] {
			return sizes, false
		}
		sizes[i] = g.end[from+i] - g.start[from+i]
	}
	return sizes, true
}

// ssn says whether groups are a US social security number: 3, 2 and 4 digits, or 9
// in a row behind a word that says so. Area 000, 666 and 900 to 999, group 00 and
// serial 0000 are not given out (Social Security Administration, SSN Randomization).
func (g *groups) ssn(text []byte, from, n int) bool {
	sizes, ok := g.uniform(from, n)
	start := g.start[from]
	switch {
	case !ok:
		return false
	case n == 1 && sizes[0] == 9:
		if !introduced(text[:start]) {
			return false
		}
		d := text[start:]
		return validSSN(d[:3], d[3:5], d[5:9])
	case n == 3 && sizes == [longestForm]int{3, 2, 4}:
		if g.separator[from+1] == ' ' && g.n != n { // one of many numbers
			return false
		}
		return validSSN(text[start:start+3], text[start+4:start+6], text[start+7:start+11])
	}
	return false
}

func validSSN(area, group, serial []byte) bool {
	a := string(area)
	return a != "000" && a != "666" && a[0] != '9' && string(group) != "00" && string(serial) != "0000"
}

// introduced says whether the last words of a text announce a social security
// number.
func introduced(before []byte) bool {
	before = before[max(0, len(before)-24):]
	return containsFold(before, "ssn") || containsFold(before, "social")
}

// containsFold finds a word in lower case, whatever the case of the text.
func containsFold(text []byte, word string) bool {
	for i := 0; i+len(word) <= len(text); i++ {
		j := 0
		for j < len(word) && text[i+j]|0x20 == word[j] {
			j++
		}
		if j == len(word) {
			return true
		}
	}
	return false
}
