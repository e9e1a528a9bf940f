package classify

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/weir-gateway/weir/internal/detect"
)

// check says of a whole value whether it is one of a kind.
type check struct {
	is    string // behind "982 of 1000 values are "
	class string
	// chance is about how often a value of the same shape passes by accident.
	chance float64
	// alone: it may propose the class without a name that says so.
	alone bool
	// finds is the detector that does it; pass where there is none.
	finds detect.Detector
	pass  func(string) bool
}

// checks of whole values. Where a kind has a checksum it is checked.
var checks = []check{
	{is: "email addresses", class: email, chance: 1e-4, alone: true, finds: detect.Email},
	{is: "card numbers (prefix, length and Luhn)", class: pan, chance: .05, alone: true, finds: detect.CreditCard},
	{is: "US SSNs (format and ranges)", class: ssn, chance: .05, alone: true, finds: detect.USSSN},
	{is: "IBANs (country's form and mod 97)", class: iban, chance: 1e-3, alone: true, finds: detect.IBAN},
	{is: "JSON Web Tokens", class: token, chance: 1e-6, alone: true, finds: detect.JWT},
	{is: "private keys in PEM", class: key, chance: 1e-6, alone: true, finds: detect.PrivateKey},
	{is: "keys of clouds or services", class: key, chance: 1e-4, alone: true, finds: detect.CloudKeys},
	{is: "password hashes", class: password, chance: 1e-6, alone: true, pass: isPasswordHash},
	{is: "Spanish DNIs or NIEs (check letter)", class: national, chance: .05, alone: true, pass: isDNI},
	{is: "French social security numbers (form and mod 97)", class: national, chance: .01, alone: true, pass: isNIR},
	{is: "Italian fiscal codes (form and check letter)", class: national, chance: 1e-3, alone: true, pass: isCodiceFiscale},
	{is: "Polish PESELs (date and check digit)", class: national, chance: .03, alone: true, pass: isPESEL},
	{is: "Dutch BSNs (check digit)", class: national, chance: .1, pass: isBSN},
	{is: "Brazilian CPFs (check digits)", class: national, chance: .01, alone: true, pass: isCPF},
	{is: "Swedish personal numbers (date and Luhn)", class: national, chance: .02, alone: true, pass: isPersonnummer},
	{is: "UK national insurance numbers (form)", class: national, chance: 1e-3, alone: true, pass: matches(`^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]$`)},
	{is: "German social insurance numbers (form and check digit)", class: national, chance: .02, alone: true, pass: isRVNR},
	{is: "German tax ids (digits and check digit)", class: tax, chance: .03, alone: true, pass: isSteuerID},
	{is: "nine digits in the ranges of US SSNs", class: ssn, chance: .9, pass: matches(`^(?:00[1-9]|0[1-9]\d|[1-578]\d\d|6[0-57-9]\d|66[0-57-9])\d{6}$`)},
	{is: "phone numbers with country code", class: phone, chance: .01, alone: true, pass: isInternationalPhone},
	{is: "like phone numbers", class: phone, chance: .5, pass: isPhone},
	{is: "IP addresses", class: ip, chance: .1, alone: true, pass: func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.IsValid() }},
	{is: "three or four digits", class: cvv, chance: .5, pass: matches(`^\d{3,4}$`)},
}

// checkable are the classes whose values all pass one of the checks, give or take
// mistakes: a column of another content is none of them, whatever it is called.
var checkable = map[string]bool{email: true, pan: true, ssn: true, iban: true, phone: true, ip: true, cvv: true}

func matches(pattern string) func(string) bool { return regexp.MustCompile(pattern).MatchString }

// longestValue is the longest value, in bytes, that is looked at as a whole; what is longer
// is text, or a key.
const longestValue = 256

// passed are the checks that a value passes as a whole, a bit each; inside are the
// detectors that found something in a part of it.
func passed(value []byte) (whole uint32, inside detect.Set) {
	trimmed := strings.TrimSpace(string(value))
	var sure detect.Set // found as the whole value
	for _, f := range detect.Scan([]byte(trimmed), detect.All) {
		if f.Start == 0 && f.End == len(trimmed) {
			sure |= detect.Of(f.Detector)
		} else {
			inside |= detect.Of(f.Detector)
		}
	}
	for i, c := range checks {
		switch {
		case c.pass == nil && sure.Has(c.finds), c.pass != nil && len(trimmed) <= longestValue && c.pass(trimmed):
			whole |= 1 << i
		}
	}
	return whole, inside
}

// passwordHash are the forms of crypt(5), of the PHC string format, of LDAP (RFC 2307) and
// of PostgreSQL's and Django's own.
var passwordHash = regexp.MustCompile(`^(?:\$(?:1|2[abxy]?|5|6|y|7|gy|sha1|md5|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]*|P|H)\$[^\s]{8,}|\$[PH]\$[./0-9A-Za-z]{31}|\{S?(?:SHA(?:256|512)?|MD5|CRYPT)\}\S{8,}|SCRAM-SHA-256\$\d+:\S+|(?:pbkdf2_sha256|pbkdf2_sha1|bcrypt_sha256|argon2)\$\S{8,})$`)

func isPasswordHash(s string) bool { return passwordHash.MatchString(s) }

var international = regexp.MustCompile(`^(?:\+|00)[1-9][\d ().\-/]{5,22}\d(?: ?(?:x|ext\.?) ?\d{1,6})?$`)

func isInternationalPhone(s string) bool {
	n := countDigits(s)
	return strings.HasPrefix(s, "+") && n >= 8 && n <= 20 && international.MatchString(s)
}

var nationalPhone = regexp.MustCompile(`^[\d(][\d ().\-/]{4,22}\d(?: ?(?:x|ext\.?) ?\d{1,6})?$`)

func isPhone(s string) bool {
	n := countDigits(s)
	return n >= 7 && n <= 20 && (international.MatchString(s) || nationalPhone.MatchString(s)) && !isISODate(s)
}

var isISODate = matches(`^\d{4}-\d{2}-\d{2}$`)

func countDigits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}
