package detect

// structures are those of the account numbers by country, behind the two check
// digits: n digits, a letters, c either (SWIFT, IBAN Registry).
var structures = map[string]string{
	"AD": "8n12c", "AE": "19n", "AL": "8n16c", "AT": "16n", "AZ": "4a20c", "BA": "16n", "BE": "12n", "BG": "4a6n8c",
	"BH": "4a14c", "BI": "23n", "BR": "23n1a1c", "BY": "4c4n16c", "CH": "5n12c", "CR": "18n", "CY": "8n16c", "CZ": "20n",
	"DE": "18n", "DJ": "23n", "DK": "14n", "DO": "4c20n", "EE": "16n", "EG": "25n", "ES": "20n", "FI": "14n",
	"FK": "2a12n", "FO": "14n", "FR": "10n11c2n", "GB": "4a14n", "GE": "2a16n", "GI": "4a15c", "GL": "14n", "GR": "7n16c",
	"GT": "24c", "HN": "4a20n", "HR": "17n", "HU": "24n", "IE": "4a14n", "IL": "19n", "IQ": "4a15n", "IS": "22n",
	"IT": "1a10n12c", "JO": "4a4n18c", "KW": "4a22c", "KZ": "3n13c", "LB": "4n20c", "LC": "4a24c", "LI": "5n12c", "LT": "16n",
	"LU": "3n13c", "LV": "4a13c", "LY": "21n", "MC": "10n11c2n", "MD": "20c", "ME": "18n", "MK": "3n10c2n", "MN": "16n",
	"MR": "23n", "MT": "4a5n18c", "MU": "4a19n3a", "NI": "4a20n", "NL": "4a10n", "NO": "11n", "OM": "3n16c", "PK": "4a16c",
	"PL": "24n", "PS": "4a21c", "PT": "21n", "QA": "4a21c", "RO": "4a16c", "RS": "18n", "RU": "14n15c", "SA": "2n18c",
	"SC": "4a20n3a", "SD": "14n", "SE": "20n", "SI": "15n", "SK": "20n", "SM": "1a10n12c", "SO": "19n", "ST": "21n",
	"SV": "4a20n", "TL": "19n", "TN": "20n", "TR": "6n16c", "UA": "6n19c", "VA": "18n", "VG": "4a16n", "XK": "16n",
	"YE": "4a4n18c",
}

// longestIBAN is of ISO 13616, without spaces.
const longestIBAN = 34

// account returns the end of the account number that a text begins with, 0 where
// it begins with none. It may be written in groups of four.
func account(text []byte) int {
	country := [2]byte{text[0] &^ 0x20, text[1] &^ 0x20}
	structure, ok := structures[string(country[:])]
	if !ok || !isDigit(at(text, 2)) || !isDigit(at(text, 3)) {
		return 0
	}
	var number [longestIBAN]byte
	n, i := 4, 4
	copy(number[:], text[:4])
	grouped := at(text, 4) == ' '
	for rest := structure; rest != ""; {
		var count int
		var kind byte
		count, kind, rest = nextPart(rest)
		for range count {
			if grouped && n%4 == 0 {
				if at(text, i) != ' ' {
					return 0
				}
				i++
			}
			c := at(text, i)
			if !fits(kind, c) {
				return 0
			}
			number[n] = c
			n++
			i++
		}
	}
	if !mod97(number[:n]) {
		return 0
	}
	return i
}

// nextPart takes one part of a structure: how many, of which kind.
func nextPart(s string) (count int, kind byte, rest string) {
	i := 0
	for isDigit(s[i]) {
		count = count*10 + int(s[i]-'0')
		i++
	}
	return count, s[i], s[i+1:]
}

func fits(kind, c byte) bool {
	switch kind {
	case 'n':
		return isDigit(c)
	case 'a':
		return isLetter(c)
	default:
		return isDigit(c) || isLetter(c)
	}
}

// mod97 checks the two check digits (ISO 7064, MOD 97-10).
func mod97(number []byte) bool {
	rest := uint32(0)
	for i := range number {
		switch c := number[(i+4)%len(number)]; {
		case isDigit(c):
			rest = rest*10 + uint32(c-'0')
		default:
			rest = rest*100 + uint32(c&^0x20-'A') + 10
		}
		rest %= 97
	}
	return rest == 1
}

func at(text []byte, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return 0
}
