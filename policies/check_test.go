package policies

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/internal/gate"
)

func check(t *testing.T, namesAndTexts ...string) Report {
	t.Helper()
	r, err := Check(Config{Bundle: bundleOf(t, namesAndTexts...)}, classified{"orders"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheckRefuses(t *testing.T) {
	const head = "package weir.rules.x\n\n"
	tests := []struct {
		name  string
		files []string
		says  string // the beginning of the first error, and part of it after |
	}{
		{"a misspelt field", []string{"a.rego", head + "allow if input.operation.acton == \"select\"\n"}, "a.rego:3:10: rego_type_error|input.operation.acton"},
		{"a misspelt field in a column", []string{"a.rego", head + "allow if input.operation.columns[_].clases\n"}, "a.rego:3:10: rego_type_error|clases"},
		{"a misspelt top", []string{"a.rego", head + "allow if input.principle.kind == \"agent\"\n"}, "a.rego:3:10: rego_type_error|principle"},
		{"a string for a list", []string{"a.rego", head + "allow if input.principal.roles == \"x\"\n"}, "a.rego:3:10: rego_type_error|match error"},
		{"what does not parse", []string{"a.rego", head + "allow if {\n"}, "a.rego:4:1: rego_parse_error|"},
		{"the old syntax", []string{"a.rego", head + "deny[x] { x := 1 }\n"}, "a.rego:3:|rego_parse_error"},
		{"an unused variable", []string{"a.rego", head + "allow if {\n\tx := 1\n\ttrue\n}\n"}, "a.rego:4:2: rego_compile_error|assigned var x unused"},
		{"a function that nobody has", []string{"a.rego", head + "allow if lib.is_robot\n"}, "a.rego:3:10: rego_unsafe_var_error|lib"},
		{"a library function that is not there", []string{"a.rego", head + "allow if data.weir.lib.is_robot(1)\n"}, "a.rego:3:10: rego_type_error|is_robot"},
		{"the network", []string{"a.rego", head + "allow if http.send({\"url\": \"x\", \"method\": \"GET\"}).body\n"}, "a.rego:3:10: rego_type_error|http.send"},
		{"names", []string{"a.rego", head + "allow if net.lookup_ip_addr(\"x\")\n"}, "a.rego:3:10: rego_type_error|net.lookup_ip_addr"},
		{"the environment", []string{"a.rego", head + "allow if opa.runtime().env.HOME\n"}, "a.rego:3:10: rego_type_error|opa.runtime"},
		{"a package elsewhere", []string{"a.rego", "package orders\n\nallow if true\n"}, "a.rego:1:1: package_place|write package weir.rules.<name>"},
		{"a package almost there", []string{"a.rego", "package weir.rule.orders\n\nallow if true\n"}, "a.rego:1:1: package_place|not folded"},
		{"the place itself", []string{"a.rego", "package weir.rules\n\nallow if true\n"}, "a.rego:1:1: package_place|write package weir.rules.<name>"},
		{"the entrypoint", []string{"a.rego", "package weir\n\ndecision := {\"effect\": \"allow\"}\n"}, "a.rego:1:1: package_taken|"},
		{"the fold", []string{"a.rego", "package weir.said\n\nallow contains \"x\"\n"}, "a.rego:1:1: package_taken|"},
		{"the words", []string{"a.rego", "package weir.lib\n\nis_human if true\n"}, "a.rego:1:1: package_taken|"},
		{"the defaults", []string{"a.rego", "package weir.rules.defaults\n\nallow if true\n"}, "a.rego:1:1: package_taken|waive"},
		{"below the defaults", []string{"a.rego", "package weir.rules.defaults.more\n\nallow if true\n"}, "a.rego:1:1: package_taken|"},
		{"the fold, by a test", []string{"a_test.rego", "package weir.said\n\ntest_x if true\n"}, "a_test.rego:1:1: package_taken|"},
		{"a library package, by a test", []string{"a_test.rego", "package weir.other\n\ntest_x if true\n"}, "a_test.rego:1:1: package_place|"},
		{"the library by data", []string{"a.rego", head + "allow if false\n", "data.json", `{"weir": {"rules": {"y": {"allow": true}}}}`}, "data_taken|data.weir is the library's"},
		{"the library by the data's folder", []string{"weir/classification/data.json", `{"targets": {}}`}, "data_taken|"},
		{"a deny that is no set", []string{"a.rego", head + "deny if input.phase == \"connect\"\n"}, "a.rego:3:1: rule_shape|write deny contains … if …"},
		{"a deny that is a function", []string{"a.rego", head + "deny(x) if x == 1\n"}, "a.rego:3:1: rule_shape|"},
		{"a deny that is an object", []string{"a.rego", head + "deny.x := 1 if true\n"}, "a.rego:3:1: rule_shape|"},
		{"a deny below deny", []string{"a.rego", head + "deny.x contains 1 if true\n"}, "a.rego:3:1: rule_shape|"},
		{"an allow that is a set", []string{"a.rego", head + "allow contains \"x\" if true\n"}, "a.rego:3:1: rule_shape|allow is true or nothing"},
		{"a denial that nobody hears", []string{"a.rego", head + "denny contains {\"code\": \"x\", \"message\": \"y\"} if true\n"}, "a.rego:3:1: rule_unheard|did you mean deny?"},
		{"masks for mask", []string{"a.rego", head + "masks contains {\"class\": \"x\"} if true\n"}, "a.rego:3:1: rule_unheard|did you mean mask?"},
		{"limit for limits", []string{"a.rego", head + "limit contains {\"max_rows\": 1} if true\n"}, "a.rego:3:1: rule_unheard|did you mean limits?"},
		{"denied for deny", []string{"a.rego", head + "denied if true\n"}, "a.rego:3:1: rule_unheard|did you mean deny?"},
		{"a package without a name for rules", []string{"a.rego", "allow if true\n"}, "a.rego:1:1: rego_parse_error|package expected"},
		{"nothing in a file", []string{"a.rego", "# nothing\n"}, "a.rego: |"},
		{"data that is no JSON", []string{"data.json", "{"}, "data.json: data|"},
		{"data after data", []string{"data.json", "{} {}"}, "data.json: data|"},
		{"data that is no object", []string{"data.yaml", "[1]"}, "data.yaml: data|must be an object"},
		{"data twice", []string{"data.json", `{"a": {"b": 1}}`, "a/data.json", `{"b": 2}`}, "data.json: data|data.a.b is there already"},
		{"a test that does not compile", []string{"a.rego", head + "allow if false\n", "a_test.rego", "package weir.rules.x_test\n\ntest_x if data.weir.rules.x.allow with input.phas as 1\n\ntest_y if nothing\n"}, "a_test.rego:|"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := check(t, tt.files...)
			if r.OK || len(r.Errors) == 0 {
				t.Fatal("accepted")
			}
			begin, part, _ := strings.Cut(tt.says, "|")
			if got := r.Errors[0].String(); !strings.HasPrefix(got, begin) || !strings.Contains(got, part) {
				t.Errorf("got\n%s\nwant %s", got, tt.says)
			}
		})
	}
}

// What Check refuses for reasons of safety does not become active either.
func TestNewRefusesWhatCheckRefuses(t *testing.T) {
	for _, text := range []string{
		"package weir.rules.x\n\nallow if input.operation.acton == \"select\"\n",
		"package weir\n\nallow := true\n",
		"package weir.rules.x\n\nmasks contains {\"class\": \"x\"} if true\n",
	} {
		_, err := New(t.Context(), Config{Bundle: bundleOf(t, "a.rego", text)}, Deps{})
		if err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestCheckTellsEverythingAtOnce(t *testing.T) {
	r := check(t,
		"a.rego", "package orders\n\nallow if true\n",
		"b.rego", "package weir.rules.b\n\nallow if {\n",
		"c.rego", "package weir.rules.c\n\nallow if input.nothing\n\ndeny if true\n",
		"data.json", "[")
	var got []string
	for _, p := range r.Errors {
		got = append(got, p.File+" "+p.Code)
	}
	want := []string{"a.rego package_place", "b.rego rego_parse_error", "c.rego rego_type_error", "c.rego rule_shape", "data.json data"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckWarns(t *testing.T) {
	r := check(t,
		"a.rego", "package weir.rules.a\n\nallow  if   true\n\nspare := 1\n",
		"README.md", "words", "notes.yaml", "x: 1", "roles/data.yml", "a: 1")
	if !r.OK {
		t.Fatal(r.Errors)
	}
	var got []string
	for _, p := range r.Warnings {
		got = append(got, p.String())
	}
	want := []string{
		"a.rego:3:1: format: differs from what opa fmt writes from here on",
		"a.rego:5:1: rule_unused: nothing reads spare",
		"notes.yaml: file_ignored: only data.json, data.yaml and .rego files are read: name it data.yaml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a.rego", "roles/data.yml"}, r.Files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"weir.rules.a"}, r.Packages); diff != "" {
		t.Error(diff)
	}
	if len(r.Revision) != 64 || len(r.Reads) == 0 {
		t.Errorf("revision %q, reads %v", r.Revision, r.Reads)
	}
}

func TestCheckOfNothing(t *testing.T) {
	r := check(t)
	if !r.OK || len(r.Warnings) != 1 || r.Warnings[0].Code != "no_rules" {
		t.Errorf("got %+v", r)
	}
}

func TestAllowedBuiltin(t *testing.T) {
	dir := bundleOf(t, "a.rego", "package weir.rules.x\n\nallow if count(net.lookup_ip_addr(\"localhost\")) > 0\n")
	r, err := Check(Config{Bundle: dir, Builtins: []string{"net.lookup_ip_addr"}}, nil)
	if err != nil || !r.OK {
		t.Fatal(err, r.Errors)
	}
	if r.Uncached != "rules call net.lookup_ip_addr" {
		t.Errorf("uncached %q", r.Uncached)
	}
	if _, err := Check(Config{Bundle: dir, Builtins: []string{"count"}}, nil); err == nil || !strings.Contains(err.Error(), "needs no permission") {
		t.Errorf("got %v", err)
	}
}

func TestBundlesThatCannotBeRead(t *testing.T) {
	dir := bundleOf(t, "a.rego", "package weir.rules.a\n\nallow if true\n")
	elsewhere := t.TempDir()
	linked := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(linked, "more")); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.Symlink(filepath.Join(broken, "gone"), filepath.Join(broken, "a.rego")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ dir, says string }{
		"nowhere":                {filepath.Join(dir, "gone"), "no such file"},
		"a file":                 {filepath.Join(dir, "a.rego"), "is not a folder"},
		"a link to a folder":     {linked, "more is a link to a folder"},
		"a link to nothing":      {broken, "no such file"},
		"the library's own name": {bundleOf(t, "weir:decision.rego", "package weir.rules.x\n"), "is the library's"},
		"a file that is too big": {bundleOf(t, "data.json", strings.Repeat(" ", maxFileBytes+1)), "larger than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Check(Config{Bundle: tt.dir}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A mounted folder: the bundle is a link, its files are links into a hidden one.
func TestMountedBundle(t *testing.T) {
	mount := t.TempDir()
	write(t, mount, "..2026/a.rego", "package weir.rules.a\n\nallow if true\n")
	for link, to := range map[string]string{"..data": "..2026", "a.rego": "..data/a.rego"} {
		if err := os.Symlink(to, filepath.Join(mount, link)); err != nil {
			t.Fatal(err)
		}
	}
	bundle := filepath.Join(t.TempDir(), "policies")
	if err := os.Symlink(mount, bundle); err != nil {
		t.Fatal(err)
	}
	r, err := Check(Config{Bundle: bundle}, nil)
	if err != nil || !r.OK {
		t.Fatal(err, r.Errors)
	}
	if diff := cmp.Diff([]string{"a.rego"}, r.Files); diff != "" {
		t.Error(diff)
	}
}

// A schema's reference to elsewhere is not followed either.
func TestSchemasAreNotFetched(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	e := engineOf(t, "a.rego", "package weir.rules.a\n\nallow if json.match_schema({}, {\"$ref\": \""+server.URL+"/schema.json\"})[0]\n")
	d, err := e.Decide(t.Context(), agentInput())
	if d.Effect == gate.Allow || asked.Load() > 0 {
		t.Errorf("%s, %v, asked %d times", d.Effect, err, asked.Load())
	}
}
