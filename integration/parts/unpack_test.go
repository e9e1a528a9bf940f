package parts

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is one member of a test archive.
type entry struct {
	name, content string
	mode          int64
	link          string // a symbolic link to this
}

func tgz(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var raw bytes.Buffer
	zipped := gzip.NewWriter(&raw)
	w := tar.NewWriter(zipped)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func wheel(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := zip.NewWriter(&raw)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

func unpackBytes(t *testing.T, p *part, name string, raw []byte) (string, error) {
	t.Helper()
	above := t.TempDir()
	dst := filepath.Join(above, "in", "dst")
	if err := os.MkdirAll(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(above, name)
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return dst, unpack(t.Context(), p, file, dst)
}

func TestUnpackRefuses(t *testing.T) {
	all := &part{Files: map[string]string{"package/": "", "../": "../", "/": "/"}}
	for _, test := range []struct {
		name    string
		entries []entry
	}{
		{"a name that climbs", []entry{{name: "../escaped", content: "x"}}},
		{"a name that climbs after a folder", []entry{{name: "package/../../escaped", content: "x"}}},
		{"an absolute name", []entry{{name: "/escaped", content: "x"}}},
		{"a symbolic link", []entry{{name: "package/out", link: "/tmp"}}},
		{"a file twice", []entry{{name: "package/a", content: "x"}, {name: "package/a", content: "y"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			archives := map[string][]byte{"a.tgz": tgz(t, test.entries...)}
			if test.entries[0].link == "" {
				archives["a.whl"] = wheel(t, test.entries...)
			}
			for name, raw := range archives {
				dst, err := unpackBytes(t, all, name, raw)
				if err == nil {
					t.Errorf("%s was unpacked", name)
				}
				escaped, _ := filepath.Glob(filepath.Join(dst, "..", "escaped"))
				if len(escaped) > 0 {
					t.Errorf("%s left %v", name, escaped)
				}
			}
		})
	}
}

func TestUnpackBrokenArchive(t *testing.T) {
	whole := tgz(t, entry{name: "package/a", content: strings.Repeat("weir", 1000)})
	if _, err := unpackBytes(t, &part{Files: map[string]string{"package/": ""}}, "a.tgz", whole[:len(whole)/2]); err == nil {
		t.Error("half an archive was unpacked")
	}
}

func TestUnpackTakesWhatIsWanted(t *testing.T) {
	p := &part{
		Files:      map[string]string{"package/native/": "", "package/other/lib.so": "lib/renamed.so"},
		Drop:       []string{"*.a", "lib/pkgconfig/*"},
		Executable: []string{"bin/*"},
	}
	entries := []entry{
		{name: "package/native/bin/psql", content: "psql", mode: 0o644},
		{name: "package/native/lib/libpq.so", content: "libpq", mode: 0o644},
		{name: "package/native/lib/libpq.a", content: "x", mode: 0o644},
		{name: "package/native/lib/pkgconfig/libpq.pc", content: "x", mode: 0o644},
		{name: "package/other/lib.so", content: "other", mode: 0o755},
		{name: "package/README.md", content: "x", mode: 0o644},
	}
	for name, raw := range map[string][]byte{"a.tgz": tgz(t, entries...), "a.whl": wheel(t, entries...)} {
		dst, err := unpackBytes(t, p, name, raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		_ = filepath.Walk(dst, func(path string, info os.FileInfo, _ error) error {
			if !info.IsDir() {
				rel, _ := filepath.Rel(dst, path)
				got = append(got, rel)
			}
			return nil
		})
		if strings.Join(got, " ") != "bin/psql lib/libpq.so lib/renamed.so" {
			t.Errorf("%s: unpacked %v", name, got)
		}
		if info, _ := os.Stat(filepath.Join(dst, "bin/psql")); info.Mode().Perm()&0o100 == 0 {
			t.Errorf("%s: bin/psql is not executable", name)
		}
	}
}
