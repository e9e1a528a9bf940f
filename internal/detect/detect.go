// Package detect finds values in free text that give themselves away by their
// form: card numbers, emails, account numbers, keys and tokens. Whatever has a
// checksum is checked, so that a float, a UUID, a time or a digest is not taken
// for a card.
//
// It knows neither policy nor protocols. It is a second line behind the
// classification of columns: whoever can change a text's form passes it by.
package detect

// Detector is one kind of value that can be found.
type Detector uint8

// The detectors. Their names are those of the classification (docs/policy.md).
const (
	CloudKeys  Detector = iota // keys of clouds and services, by their prefix
	CreditCard                 // ISO/IEC 7812: known prefixes and lengths, Luhn
	Email                      // RFC 5321 mailboxes with a domain of two labels at least
	IBAN                       // ISO 13616: country's structure, mod 97
	JWT                        // RFC 7519 in compact form, by its header
	PrivateKey                 // RFC 7468 and its kin: PEM blocks of private keys
	USSSN                      // US social security numbers, of the ranges that are given out
	Count      = iota          // how many there are
)

var names = [Count]string{"cloud_keys", "credit_card", "email", "iban", "jwt", "private_key", "us_ssn"}

var classes = [Count]string{"secret.key", "pci.pan", "pii.email", "pii.iban", "secret.token", "secret.key", "pii.ssn"}

// Names are the names of all detectors, sorted.
func Names() []string { return append([]string(nil), names[:]...) }

// ByName finds a detector.
func ByName(name string) (Detector, bool) {
	for i, n := range names {
		if n == name {
			return Detector(i), true
		}
	}
	return 0, false
}

// String is the detector's name.
func (d Detector) String() string { return names[d] }

// Class is the class of what it finds, where a classification names no other.
func (d Detector) Class() string { return classes[d] }

// Set is a set of detectors. The zero value is empty.
type Set uint8

// All are all detectors.
const All Set = 1<<Count - 1

// Of makes a set.
func Of(detectors ...Detector) Set {
	var s Set
	for _, d := range detectors {
		s |= 1 << d
	}
	return s
}

// Has says whether a detector is in the set.
func (s Set) Has(d Detector) bool { return s&(1<<d) != 0 }

// Asked is a detector that is asked for, and the classes of what it finds.
type Asked struct {
	Detector Detector
	Classes  []string // sorted
}

// Finding is a passage of a text, in bytes.
type Finding struct {
	Start, End int
	Detector   Detector
}

// Scan finds what the wanted detectors know in a text in UTF-8 or any other
// encoding that has ASCII in it. Findings are in order and do not overlap. A text
// in which nothing is found costs no memory, and the time is linear in its length.
func Scan(text []byte, want Set) []Finding { return Append(nil, text, want) }

// Append is Scan that appends to a slice of the caller's.
func Append(dst []Finding, text []byte, want Set) []Finding {
	if want&All == 0 {
		return dst
	}
	s := scanner{text: text, want: want & All, found: dst, open: -1}
	s.run(0)
	return s.found
}

// scanner is one pass over a text. It stops only at bytes that a wanted detector
// begins to look at.
type scanner struct {
	text  []byte
	want  Set
	found []Finding
	from  int // end of the last finding: nothing begins before it
	open  int // where a key begins that the text ends in; below 0 for none

	segment int // end of the last word that was looked at for a token
	decoded int // bytes of headers of tokens, so that many of them cost no more
}

func (s *scanner) run(i int) {
	for i < len(s.text) {
		kind := anchors[s.text[i]]
		if kind&s.want == 0 {
			i++
			continue
		}
		i = s.look(i)
	}
}

// look is at a byte that may belong to something wanted. It returns where to go on.
func (s *scanner) look(i int) int {
	switch c := s.text[i]; {
	case isDigit(c):
		return s.number(i)
	case c == '@':
		return s.mailbox(i)
	case c == '-' && s.want.Has(PrivateKey) && s.at(i+1) == '-':
		return s.pem(i)
	case c == 'J' && s.want.Has(JWT):
		if next := s.token(i); next > i {
			return next
		}
	}
	if s.want.Has(CloudKeys) {
		return s.key(i)
	}
	return i + 1
}

// add notes a finding and returns where to go on.
func (s *scanner) add(start, end int, d Detector) int {
	s.found = append(s.found, Finding{start, end, d})
	s.from = end
	return end
}

// anchors says for each byte which detectors look closer where it stands. They are
// bytes that are rare in prose, not the first of what is looked for.
var anchors = func() (set [256]Set) {
	for c := '0'; c <= '9'; c++ {
		set[c] = Of(CreditCard, USSSN, IBAN)
	}
	set['@'] = Of(Email)
	set['-'] = Of(PrivateKey)
	set['J'] = Of(JWT)
	for c := range keysAt {
		if len(keysAt[c]) > 0 {
			set[c] |= Of(CloudKeys)
		}
	}
	set['y'] |= Of(CloudKeys) // of a name that a key without a prefix stands behind
	set['Y'] |= Of(CloudKeys)
	return set
}()

func isDigit(c byte) bool { return c-'0' < 10 }

func isLetter(c byte) bool { return c|0x20-'a' < 26 }

// isWord says whether a byte continues a word: letters beyond ASCII do too.
func isWord(c byte) bool { return isDigit(c) || isLetter(c) || c == '_' || c >= 0x80 }

// at is a byte of the text, zero outside of it.
func (s *scanner) at(i int) byte {
	if i < 0 || i >= len(s.text) {
		return 0
	}
	return s.text[i]
}
