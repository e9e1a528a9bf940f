package classify

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestTokens(t *testing.T) {
	for name, want := range map[string]string{
		"first_name": "first name", "firstName": "first name", "FirstName": "first name", "FIRST_NAME": "first name", "first name": "first name",
		"IPAddress": "ip address", "customerID": "customer id", "address2": "address", "Straße": "strasse", "contraseña": "contrasena",
		"geburts-datum": "geburts datum", "__x__": "x", "": "", "42": "", "e-mail": "e mail",
	} {
		if got := strings.Join(tokens(name), " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	tests := []struct {
		name   string
		people bool
		want   string
	}{
		{"ssn", false, "pii.ssn strong"}, {"customer_email", false, "pii.email strong"}, {"emails", false, "pii.email strong"}, {"e_mail", false, "pii.email strong"},
		{"firstName", false, "pii.name strong"}, {"lastname", false, "pii.name strong"}, {"Vorname", false, "pii.name strong"},
		{"name", true, "pii.name plain"}, {"name", false, ""}, {"customer_name", false, "pii.name plain"}, {"file_name", true, ""}, {"product_name", false, ""},
		{"cust_nm", false, "pii.name plain"}, {"nombre", true, "pii.name plain"}, {"apellidos", false, "pii.name strong"},
		{"email_sent_at", false, ""}, {"email_verified", true, ""}, {"is_email", true, ""}, {"card_type", false, ""}, {"card_brand", false, ""}, {"card_last4", false, ""},
		{"card_number", false, "pci.pan strong"}, {"ccnum", false, "pci.pan strong"}, {"phone2", false, "pii.phone strong"}, {"phone_country_code", false, ""},
		{"geburtsdatum", false, "pii.birth_date strong"}, {"fecha_nacimiento", false, "pii.birth_date strong"}, {"dob", false, "pii.birth_date strong"},
		{"steuernummer", false, "pii.tax_id strong"}, {"dni", false, "pii.national_id strong"}, {"numéro_sécu", false, "pii.national_id strong"},
		{"ip_address", false, "pii.ip strong"}, {"client_ip", false, "pii.ip strong"}, {"wallet_address", false, ""}, {"address", false, "pii.address plain"},
		{"password_hash", false, "secret.password strong"}, {"password_changed_at", false, ""}, {"email_verification_token", false, "secret.token strong"},
		{"city", true, "pii.address plain"}, {"city", false, "pii.address weak"}, {"order_number", true, ""}, {"id", true, ""}, {"company", true, ""},
		{"shipping", true, ""}, {"discard", false, ""}, {"description", false, ""}, {"tipo_documento", false, "pii.national_id weak"},
	}
	for _, tt := range tests {
		got := ""
		if m, ok := read(tt.name, tt.people); ok {
			got = m.class + " " + []string{"", "weak", "plain", "strong"}[m.strength]
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (people: %v):\n%s", tt.name, tt.people, diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("firstName")
	f.Add("\xff_é")
	f.Fuzz(func(t *testing.T, name string) {
		for _, w := range tokens(name) {
			if w == "" || !utf8.ValidString(w) {
				t.Fatalf("%q", w)
			}
		}
		read(name, true)
	})
}

func TestDictionary(t *testing.T) {
	for name, w := range dictionary {
		if w.class == "" || w.strength == 0 || strings.Join(tokens(name), "") != name {
			t.Errorf("%s: %+v", name, w)
		}
	}
	for class := range families {
		if !slices.ContainsFunc(slices.Collect(maps.Values(dictionary)), func(w word) bool { return w.class == class }) {
			t.Errorf("no name stands for %s", class)
		}
	}
}
