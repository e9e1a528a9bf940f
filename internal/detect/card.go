package detect

// cardForms are the ways in which the digits of a card are grouped.
var cardForms = [][longestForm]int{
	{4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}, {4, 4, 4, 4, 3}, {4, 4, 5}, {4, 4, 4, 1}, {6, 13},
}

// issuers are ranges of prefixes (ISO/IEC 7812-1) with the lengths of their numbers.
var issuers = []struct {
	low, high uint32 // of the first six digits
	lengths   uint32 // a bit each
}{
	{222100, 272099, 1 << 16},                       // Mastercard
	{300000, 305999, 1<<14 | 1<<16},                 // Diners Club
	{309500, 309599, 1<<14 | 1<<16},                 // Diners Club
	{340000, 349999, 1 << 15},                       // American Express
	{352800, 358999, 1<<16 | 1<<17 | 1<<18 | 1<<19}, // JCB
	{360000, 369999, 1<<14 | 1<<16 | 1<<19},         // Diners Club
	{370000, 379999, 1 << 15},                       // American Express
	{380000, 399999, 1<<14 | 1<<16 | 1<<19},         // Diners Club
	{400000, 499999, 1<<13 | 1<<16 | 1<<19},         // Visa
	{500000, 509999, 1<<16 | 1<<18 | 1<<19},         // Maestro, Elo
	{510000, 559999, 1 << 16},                       // Mastercard
	{560000, 589999, 1<<16 | 1<<18 | 1<<19},         // Maestro
	{601100, 601199, 1<<16 | 1<<19},                 // Discover
	{620000, 629999, 1<<16 | 1<<17 | 1<<18 | 1<<19}, // UnionPay
	{636000, 639999, 1<<16 | 1<<18 | 1<<19},         // Elo, Maestro
	{644000, 659999, 1<<16 | 1<<19},                 // Discover, RuPay
	{670000, 679999, 1<<16 | 1<<18 | 1<<19},         // Maestro
	{810000, 829999, 1<<16 | 1<<17 | 1<<18 | 1<<19}, // UnionPay, RuPay
	{220000, 220499, 1<<16 | 1<<17 | 1<<18 | 1<<19}, // Mir
}

// card says whether groups are the number of a payment card.
func (g *groups) card(text []byte, from, n int) bool {
	sizes, ok := g.uniform(from, n)
	if !ok || n > 1 && !cardForm(sizes) {
		return false
	}
	var digits [19]byte
	total := 0
	for i := range n {
		total += sizes[i]
	}
	if total < 13 || total > len(digits) {
		return false
	}
	at := 0
	for i := from; i < from+n; i++ {
		at += copy(digits[at:], text[g.start[i]:g.end[i]])
	}
	return issued(digits[:total]) && luhn(digits[:total])
}

func cardForm(sizes [longestForm]int) bool {
	for _, f := range cardForms {
		if f == sizes {
			return true
		}
	}
	return false
}

func issued(digits []byte) bool {
	prefix := uint32(0)
	for _, d := range digits[:6] {
		prefix = prefix*10 + uint32(d-'0')
	}
	for i := range issuers {
		if is := &issuers[i]; is.low <= prefix && prefix <= is.high {
			return is.lengths&(1<<len(digits)) != 0
		}
	}
	return false
}

// luhn checks the last digit (ISO/IEC 7812-1, annex B).
func luhn(digits []byte) bool {
	sum := 0
	for i, c := range digits {
		d := int(c - '0')
		if (len(digits)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
