package sqlmeta

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	analyzer *Analyzer // shared: its parser takes a second to make
	shop     *fileCatalog
)

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if analyzer, err = New(Config{}); err != nil {
		panic(err)
	}
	if shop, err = readCatalog("testdata/catalog.json"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = analyzer.Close()
	os.Exit(code)
}

// path is the search path that a session starts with.
var path = []string{"$user", "public"}

// fileCatalog is a catalog as the test of extproc/postgres/catalog dumps it.
type fileCatalog struct {
	Relations []*Relation
	Funcs     []Routine `json:"Routines"`
	Types     map[uint32]uint32
	revision  string
}

func readCatalog(file string) (*fileCatalog, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &fileCatalog{revision: "test"}
	return c, json.Unmarshal(raw, c)
}

func (c *fileCatalog) Revision() string { return c.revision }

func (c *fileCatalog) find(schema, name string) (*Relation, bool) {
	for _, r := range c.Relations {
		if r.Schema == schema && r.Name == name {
			return r, true
		}
	}
	return nil, false
}

func (c *fileCatalog) Relation(searchPath []string, schema, name string) (*Relation, bool) {
	if schema != "" {
		return c.find(schema, name)
	}
	if !slices.Contains(searchPath, "pg_catalog") {
		searchPath = append([]string{"pg_catalog"}, searchPath...)
	}
	for _, s := range searchPath {
		if r, ok := c.find(s, name); ok {
			return r, true
		}
	}
	return nil, false
}

func (c *fileCatalog) RelationByOID(oid uint32) (*Relation, bool) {
	for _, r := range c.Relations {
		if r.OID == oid {
			return r, true
		}
	}
	return nil, false
}

func (c *fileCatalog) RelationByType(oid uint32) (*Relation, bool) {
	return c.RelationByOID(c.Types[oid])
}

func (c *fileCatalog) Routines(searchPath []string, schema, name string) []Routine {
	var out []Routine
	for _, f := range c.Funcs {
		if f.Name == name && (f.Schema == schema || schema == "" && (f.Schema == "pg_catalog" || slices.Contains(searchPath, f.Schema))) {
			out = append(out, f)
		}
	}
	return out
}

// paragraphs reads the statements of a file: what stands between blank lines.
// Lines in front that begin with "--" are about the file.
func paragraphs(t testing.TB, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range strings.Split(string(raw), "\n\n") {
		if p = strings.TrimSpace(p); p != "" && !strings.HasPrefix(p, "-- ") {
			out = append(out, p)
		}
	}
	return out
}
