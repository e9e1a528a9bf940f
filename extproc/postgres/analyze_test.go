package postgres

import "testing"

// The forms are those of PostgreSQL 18 itself.
func TestInvalidUTF8(t *testing.T) {
	for text, want := range map[string]string{
		"select '\xff'":           "0xff",
		"é\xc3":                   "0xc3",
		"\xc3(":                   "0xc3 0x28",
		"ok \xe2\x28\xa1 more":    "0xe2 0x28 0xa1",
		"\xf0\x9f\x98":            "0xf0 0x9f 0x98",
		"\xf0\x28\x8c\xbc\xff":    "0xf0 0x28 0x8c 0xbc",
		"\xa0":                    "0xa0",
		"\uFFFD is one, \xc0\x80": "0xc0 0x80",
		"valid":                   "",
	} {
		if got := invalidUTF8(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
