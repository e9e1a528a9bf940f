package policies

import (
	"io/fs"
	"slices"
	"testing"
)

// The library's own Rego tests, and that they reach every rule of it.
func TestLibrary(t *testing.T) {
	lib, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	caps, err := capabilities(nil)
	if err != nil {
		t.Fatal(err)
	}
	modules, problems := parse(slices.Concat(lib.files, lib.tests), caps)
	for _, p := range problems {
		t.Error(p)
	}
	if err := addSaid(modules, caps); err != nil {
		t.Fatal(err)
	}
	report, err := runTests(t.Context(), newCompiler(lib, caps), modules, map[string]any{"weir": libraryData(nil)}, TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Tests {
		if r.Outcome != "pass" {
			t.Errorf("%s:%d: %s %s %s", r.File, r.Line, r.Name, r.Outcome, r.Error)
		}
	}
	if report.Passed < 25 {
		t.Errorf("only %d tests ran", report.Passed)
	}
	for _, f := range report.Files {
		if f.File != saidFile && f.Coverage < 100 {
			t.Errorf("%s: %.0f%% covered, not %v", f.File, f.Coverage, f.NotCovered)
		}
	}
}

func TestLibraryIsFormatted(t *testing.T) {
	lib, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Concat(lib.files, lib.tests, starterFiles(t)) {
		for _, p := range unformatted(f) {
			t.Error(p)
		}
	}
}

func starterFiles(t testing.TB) []file {
	t.Helper()
	starter, err := Starter()
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	err = fs.WalkDir(starter, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(starter, name)
		files = append(files, file{path: name, text: text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// starterBundle writes the starter policy to a folder.
func starterBundle(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range starterFiles(t) {
		write(t, dir, f.path, string(f.text))
	}
	return dir
}

func TestStarter(t *testing.T) {
	cfg := Config{Bundle: starterBundle(t)}
	check, err := Check(cfg, classified{"orders"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(check.Errors, check.Warnings...) {
		t.Error(p)
	}
	if check.Uncached != "" {
		t.Errorf("not cached: %s", check.Uncached)
	}
	report, err := Test(t.Context(), cfg, classified{"orders"}, TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Tests {
		if r.Outcome != "pass" {
			t.Errorf("%s:%d: %s %s %s", r.File, r.Line, r.Name, r.Outcome, r.Error)
		}
	}
	if len(report.Files) != 1 || report.Coverage < 100 {
		t.Errorf("coverage %+v", report.Files)
	}
}
