package detect

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The secrets of the tests are put together here, so that nothing that looks for
// leaked ones takes this file for a leak.
var (
	jwt = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1"}`)) + ".c2lnbmF0dXJlLW9mLXRva2Vu"
	material  = strings.Repeat("MIIEvQIBADANBgkq", 8)
	pem       = "-----BEGIN PRIVATE" + " KEY-----\n" + material + "\n" + material + "\n-----END PRIVATE KEY-----"
	awsKey    = "AKIA" + "IOSFODNN7EXAMPLE"
	awsSecret = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
	pgp       = "-----BEGIN PGP PRIVATE" + " KEY BLOCK-----\nVersion: GnuPG v1.4.11 (GNU/Linux)\nComment: of bob@example.com, \"x\"\n\n" + material + "\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----"
	quoted    = strings.ReplaceAll(pem, "\n", "\n> ")
	github    = "ghp" + "_" + strings.Repeat("a1B2", 9)
)

// marked are the texts of the findings, with their detectors.
func marked(text string, want Set) []string {
	var out []string
	for _, f := range Scan([]byte(text), want) {
		out = append(out, f.Detector.String()+":"+text[f.Start:f.End])
	}
	return out
}

func TestScanFinds(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a card", "card 4111111111111111.", "credit_card:4111111111111111"},
		{"in groups", "4111 1111 1111 1111", "credit_card:4111 1111 1111 1111"},
		{"with hyphens", "(4111-1111-1111-1111)", "credit_card:4111-1111-1111-1111"},
		{"American Express", "3782 822463 10005", "credit_card:3782 822463 10005"},
		{"Diners Club", "30569309025904", "credit_card:30569309025904"},
		{"Mastercard of the second series", "2223003122003222", "credit_card:2223003122003222"},
		{"a security code behind it", "4111 1111 1111 1111 123", "credit_card:4111 1111 1111 1111"},
		{"a number before it", "no 12 4111 1111 1111 1111", "credit_card:4111 1111 1111 1111"},
		{"in JSON", `{"a":4111111111111111,"b":1}`, "credit_card:4111111111111111"},
		{"in CSV", "4111111111111111,12/29", "credit_card:4111111111111111"},
		{"behind other letters", "番号4111111111111111です", "credit_card:4111111111111111"},
		{"in a long row", strings.Repeat("1 ", 14) + "4111 1111 1111 1111", "credit_card:4111 1111 1111 1111"},
		{"a mailbox", "write to Ann.O'Neil+x@mail.example.co.uk, please", "email:Ann.O'Neil+x@mail.example.co.uk"},
		{"in quotes", "email = 'bob@example.com'", "email:bob@example.com"},
		{"in a DETAIL", "Key (email)=(bob@example.com) already exists.", "email:bob@example.com"},
		{"of letters beyond ASCII", "jürgen@müller.de", "email:jürgen@müller.de"},
		{"punycode", "a@example.xn--p1ai", "email:a@example.xn--p1ai"},
		{"at the end of a sentence", "ask bob@example.com.", "email:bob@example.com"},
		{"two", "a@b.de,c@d.de", "email:a@b.de|email:c@d.de"},
		{"a social security number", "078-05-1120", "us_ssn:078-05-1120"},
		{"with spaces", "ssn 078 05 1120", "us_ssn:078 05 1120"},
		{"in a row, with a word", "SSN: 078051120", "us_ssn:078051120"},
		{"an account", "IBAN DE89370400440532013000.", "iban:DE89370400440532013000"},
		{"in groups of four", "DE89 3704 0044 0532 0130 00", "iban:DE89 3704 0044 0532 0130 00"},
		{"with letters", "GB82WEST12345698765432", "iban:GB82WEST12345698765432"},
		{"in lower case", "gb82west12345698765432", "iban:gb82west12345698765432"},
		{"a token", "Authorization: Bearer " + jwt + " end", "jwt:" + jwt},
		{"behind what could be of it", "xx" + jwt, "jwt:" + jwt},
		{"a key", "a\n" + pem + "\nb", "private_key:" + pem},
		{"on one line", strings.ReplaceAll(pem, "\n", `\n`) + `"`, "private_key:" + strings.ReplaceAll(pem, "\n", `\n`)},
		{"that does not end", pem[:100] + `"`, "private_key:" + pem[:100]},
		{"of AWS", "key=" + awsKey, "cloud_keys:" + awsKey},
		{"of GitHub", github, "cloud_keys:" + github},
		{"a card on an escaped line", `{"a":"x\n4111111111111111"}`, "credit_card:4111111111111111"},
		{"a number on an escaped line", `x\r\n078-05-1120`, "us_ssn:078-05-1120"},
		{"a key on an escaped line", `x\n` + awsKey, "cloud_keys:" + awsKey},
		{"track 1", "%B4111111111111111^DOE/J^2512", "credit_card:4111111111111111"},
		{"track 2", ";4111111111111111=2512", "credit_card:4111111111111111"},
		{"a secret of AWS", "aws_secret_access_key = " + awsSecret, "cloud_keys:" + awsSecret},
		{"in the environment", "AWS_SECRET_ACCESS_KEY=" + awsSecret + "\n", "cloud_keys:" + awsSecret},
		{"in JSON", `{"SecretAccessKey": "` + awsSecret + `"}`, "cloud_keys:" + awsSecret},
		{"in JSON within a text", `{\"secretAccessKey\":\"` + awsSecret + `\"}`, "cloud_keys:" + awsSecret},
		{"a key of PGP", pgp, "private_key:" + pgp},
		{"a key that is quoted", "> " + quoted, "private_key:" + quoted},
		{"several", "bob@example.com paid with 4111111111111111", "email:bob@example.com|credit_card:4111111111111111"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(marked(tt.text, All), "|"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestScanDoesNotTake(t *testing.T) {
	for name, text := range map[string]string{
		"a float":                    "0.4111111111111111",
		"a float without a zero":     "x .4111111111111111",
		"a whole part":               "4111111111111111.5",
		"an exponent":                "4111111111111111e5 1e-4111111111111111",
		"a negative number":          "-4111111111111111",
		"a wrong check digit":        "4111111111111112",
		"no issuer":                  "1111111111111117 9111111111111111",
		"a wrong length":             "41111111111111 411111111111111116",
		"UUIDs":                      "41111111-1111-4111-8111-111111111111 00000000-4111-1111-1111-111111111111",
		"hex":                        "a4111111111111111f 0x4111111111111111a",
		"times":                      "2024-01-31 12:00:00.4111111 1700000000000000000 20240131120000",
		"a longer row":               "4111111111111111 1 2-3-4111-1111-1111-1111"[17:],
		"odd groups":                 "41 11111111 111111",
		"mixed separators":           "4111-1111 1111-1111",
		"ranges of no SSN":           "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
		"nine digits":                "078051120",
		"a phone number":             "555-123-4567",
		"many numbers":               "1 123 45 6789",
		"a date":                     "2024-05-1120",
		"a wrong account":            "DE88370400440532013000",
		"another length":             "DE893704004405320130001",
		"no country":                 "ZZ89370400440532013000",
		"no domain":                  "root@localhost git@host:x a@1.2.3 @scope/pkg x@y.z",
		"annotations":                `{"Orders@odata.count":1,"Ref@odata.type":"#x","_owner@OData.Community.Display.V1.FormattedValue":"y"}`,
		"a public key":               strings.ReplaceAll(pem, "PRIVATE", "PUBLIC"),
		"a header alone":             "-----BEGIN PRIVATE" + " KEY-----",
		"three segments":             "eyJub3QiOiJhIHRva2VuIn0.eyJhIjoxfQ.abc",
		"part of a longer word":      "X" + awsKey + " " + awsKey + "A",
		"a name without a key":       "SecretAccessKey: string; secret_access_key: " + awsSecret[:39] + " secret_access_key=" + awsSecret + "A " + awsSecret,
		"words that begin like keys": "ghp_short sk_live_ AKIA",
	} {
		if got := marked(text, All); got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range Names() {
		d, ok := ByName(name)
		if !ok || d.String() != name || d.Class() == "" {
			t.Errorf("%s: %v %v", name, d, ok)
		}
	}
	if _, ok := ByName("phone"); ok {
		t.Error("a detector that there is not")
	}
}

func TestOnlyWhatIsWanted(t *testing.T) {
	text := "bob@example.com 4111111111111111 " + jwt + " " + awsKey + " " + pem
	for d := Detector(0); d < Count; d++ {
		for _, f := range Scan([]byte(text), Of(d)) {
			if f.Detector != d {
				t.Errorf("%v found %v", d, f)
			}
		}
	}
	if got := Scan([]byte(text), 0); got != nil {
		t.Errorf("nothing is wanted, and found is %v", got)
	}
}

func TestNothingFoundCostsNothing(t *testing.T) {
	text := []byte(prose)
	if n := testing.AllocsPerRun(10, func() { Scan(text, All) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// texts are words of all kinds in any order.
func texts() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{
		"4111111111111111", "4111", "1111", "-", " ", "  ", ".", ",", "@", "bob", "example.com", "bob@example.com", "078-05-1120", "ssn ",
		"078051120", "DE89", "3704", "DE89370400440532013000", jwt, "eyJhb", pem, pem[:40], material, awsKey, github, "\n", "é", "'", "0",
		awsSecret, "secret_access_key", "SecretAccessKey", `": "`, `\n`, "%B", pgp, pgp[:50], "> ", "Version: 1.0 (x)\n",
	})
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(word, 0, 30).Draw(t, "words"), "") })
}

func TestFindingsAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkOrder(t, []byte(texts().Draw(t, "text"))) })
}

func checkOrder(t interface{ Fatalf(string, ...any) }, text []byte) {
	end := 0
	for _, f := range Scan(text, All) {
		if f.Start < end || f.End <= f.Start || f.End > len(text) {
			t.Fatalf("%v behind %d of %d", f, end, len(text))
		}
		end = f.End
	}
}

// A number with a right check digit and separators of one kind is found wherever
// it stands by itself.
func TestCardsAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := []byte(rapid.StringMatching(`(4[0-9]{14}|5[1-5][0-9]{13}|6011[0-9]{11})0`).Draw(t, "card"))
		for c := byte('0'); !luhn(digits); c++ {
			digits[15] = c
		}
		sep := rapid.SampledFrom([]string{"", " ", "-"}).Draw(t, "separator")
		card := fmt.Sprintf("%s%s%s%s%s%s%s", digits[:4], sep, digits[4:8], sep, digits[8:12], sep, digits[12:])
		before := rapid.SampledFrom([]string{"", "x ", "(", "=", `"`, "é", ","}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", " y", ")", ".", `"`, "é", ",", "\n"}).Draw(t, "after")
		if diff := cmp.Diff([]string{"credit_card:" + card}, marked(before+card+after, All)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStreamFindsWhatScanFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(texts().Draw(t, "text"))
		checkStream(t, text, func(left int) int { return rapid.IntRange(1, left).Draw(t, "piece") })
	})
}

func checkStream(t interface{ Fatalf(string, ...any) }, text []byte, size func(left int) int) {
	s := NewStream(All)
	var got []Finding
	var out []byte
	for rest := text; ; {
		n := 0
		if len(rest) > 0 {
			n = size(len(rest))
		}
		piece, last := rest[:n], n == len(rest)
		rest = rest[n:]
		given, found := s.Feed(piece, last)
		for _, f := range found {
			got = append(got, Finding{f.Start + len(out), f.End + len(out), f.Detector})
		}
		out = append(out, given...)
		if last {
			break
		}
	}
	if !bytes.Equal(out, text) {
		t.Fatalf("%q became %q", text, out)
	}
	if diff := cmp.Diff(Scan(text, All), got); diff != "" {
		t.Fatalf("%q: %s", text, diff)
	}
}

// What is too long to be held is found all the same, in parts.
func TestStreamOfLongFindings(t *testing.T) {
	for name, secret := range map[string]string{
		"a token": jwt + strings.Repeat("x", 3*longestHeld),
		"a key":   pem[:60] + strings.Repeat(material+"\n", longestHeld/32) + "-----END PRIVATE KEY-----",
	} {
		s := NewStream(All)
		var shown []byte
		text := "before " + secret + " \"behind\""
		for i := 0; i < len(text); i += 1000 {
			given, found := s.Feed([]byte(text[i:min(len(text), i+1000)]), i+1000 >= len(text))
			at := 0
			for _, f := range found {
				shown = append(shown, given[at:f.Start]...)
				at = f.End
			}
			shown = append(shown, given[at:]...)
			if len(s.buf) > longestHeld+2000+enough {
				t.Fatalf("%s: %d bytes are held", name, len(s.buf))
			}
		}
		if got := string(shown); got != "before  \"behind\"" && got != "before \"behind\"" {
			t.Errorf("%s: %.200q shows", name, got)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range []string{prose, jwt, pem, "eyJhb.eyJhb.", "4111 1111 1111 1111", "a@b@c.de", "DE89 3704 0044 0532 0130 00", awsKey} {
		f.Add([]byte(text), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		checkOrder(t, text)
		checkStream(t, text, func(left int) int { return min(left, int(size)+1) })
	})
}

const prose = "The quick brown fox jumps over the lazy dog at 12:30 on 2024-01-31; order 4711 was shipped to Ann for 12.99 EUR, " +
	"id 7f9c2ba4-e88f-4d2c-9f0b-1c2d3e4f5a6b, J. Smith's note: see https://example.com/a/b?c=1#d - thanks!\n"

func BenchmarkScan(b *testing.B) {
	for name, text := range map[string]string{
		"prose":  strings.Repeat(prose, 100),
		"base64": strings.Repeat(material, 100),
		"digits": strings.Repeat("1234567 ", 1000),
		"emails": strings.Repeat("somebody@example.com, ", 500),
		"tokens": strings.Repeat("eyJh", 5000) + ".",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			found := []Finding{}
			for b.Loop() {
				found = Append(found[:0], []byte(text), All)
			}
		})
	}
}
