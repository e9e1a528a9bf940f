package classify_test

import (
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/classification"
)

// withoutViews spares a run the parser, which takes seconds to start.
func withoutViews(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.exec("DROP VIEW public.customer_list")
	return d
}

// Somebody proposes, reviews, adds and checks, and then the database changes.
func TestAFileIsFilledAndChecked(t *testing.T) {
	d := withoutViews(t)
	const ours = "# Agreed with the data protection officer.\ncrm:\n  public.customers.ssn: pii.ssn # worst of all\n  public.customers.city: []\n\n# the API\napi:\n  $..ssn: pii.ssn\n"
	d.write("classification.yaml", ours)

	if _, stderr, code := d.weir("crm", "--check"); code != 1 || !strings.Contains(stderr, "look sensitive and are not classified") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if d.read("classification.yaml") != ours {
		t.Fatal("checking changes the file")
	}
	file := d.path("classification.yaml")
	if _, stderr, code := d.weir("crm", "--write", file); code != 0 || !strings.Contains(stderr, "added") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	text := d.read("classification.yaml")
	head, tail, _ := strings.Cut(ours, "\n\n")
	if !strings.HasPrefix(text, head+"\n") || !strings.HasSuffix(text, tail) {
		t.Errorf("what was there has changed:\n%s", text)
	}
	if !strings.Contains(text, "  public.customers.email: pii.email # high: name matches \"email\"; 200 of 200 values are email addresses\n") {
		t.Errorf("no line with its evidence:\n%s", text)
	}
	c, err := classification.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Column("crm", "public", "customers", "city"); got != nil {
		t.Errorf("what is said to be harmless was classified: %v", got)
	}
	if got := c.Detectors("crm"); len(got) != 3 { // credit_card, email, iban
		t.Errorf("detectors: %v", got)
	}

	out, stderr, code := d.weir("crm", "--check", "-o", "json")
	if code != 0 {
		t.Fatalf("after it was filled: exit %d: %s\n%s", code, stderr, out)
	}
	d.write("before.json", out)
	if _, stderr, code := d.weir("crm", "--write", file); code != 0 || d.read("classification.yaml") != text {
		t.Errorf("a second time: exit %d: %s", code, stderr)
	}

	d.exec("ALTER TABLE public.orders ADD COLUMN recipient_phone text; DROP TABLE public.customers_backup_2023; ALTER TABLE hr.employees ALTER COLUMN desk_location TYPE varchar(9) USING 'x'")
	out, stderr, code = d.weir("crm", "--check", "--since", d.path("before.json"))
	if code != 1 || !strings.Contains(stderr, "check failed: 1 look sensitive and are not classified, 3 lines name no column") {
		t.Errorf("after a change: exit %d: %s", code, stderr)
	}
	for _, want := range []string{
		"new column: public.orders.recipient_phone", "gone column: public.customers_backup_2023.c1", "other type: hr.employees.desk_location",
		"looks sensitive now: public.orders.recipient_phone", "looks sensitive no more: public.customers_backup_2023.c3", ": public.customers_backup_2023.c2",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestYAMLIsAFile(t *testing.T) {
	d := withoutViews(t)
	out, stderr, code := d.weir("crm", "-o", "yaml", "--min-confidence", "high")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	c, err := classification.Parse("stdout", []byte(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range [][3]string{{"hr", "employees", "lastName"}, {"filiale", "kunden", "nachname"}, {"public", "customers_backup_2023", "c3"}} {
		if len(c.Column("crm", column[0], column[1], column[2])) == 0 {
			t.Errorf("%v is not in\n%s", column, out)
		}
	}
}

func TestDocumentsOfAnAPI(t *testing.T) {
	d := newDesk(t)
	d.write("classification.yaml", "api:\n  $..ssn: pii.ssn\n")
	d.write("answer.json", `{"customers": [{"id": 7, "name": "Ann Other", "ssn": "219-09-9998", "email": "ann@example.com"}]}`)
	d.secret = append(d.secret, "Ann Other", "219-09-9998", "ann@example.com")
	if _, stderr, code := d.weir("api"); code != 1 || !strings.Contains(stderr, "--body") {
		t.Errorf("without documents: exit %d: %s", code, stderr)
	}
	if _, stderr, code := d.weir("api", "--check", "--body", d.path("answer.json"), "--write", d.path("classification.yaml")); code != 1 || !strings.Contains(stderr, "2 look sensitive") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	want := "api:\n  $..ssn: pii.ssn\n  \"$.customers[*].email\": pii.email # high: name matches \"email\"; 1 of 1 values are email addresses\n  \"$.customers[*].name\": pii.name # medium: name matches \"name\"\n"
	if got := d.read("classification.yaml"); got != want {
		t.Errorf("got\n%s", got)
	}
	if _, stderr, code := d.weir("api", "--check", "--body", d.path("answer.json")); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	d.write("broken.json", `{"ssn": 219-09-9998}`)
	if _, stderr, code := d.weir("api", "--body", d.path("broken.json")); code != 1 || !strings.Contains(stderr, "broken.json: not JSON, at byte") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
