package conformance

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/conformance"
)

// brief says whether each shape is sent in two forms in place of all.
func brief() bool { return os.Getenv("WEIR_CONFORMANCE") != "full" }

func corpus(t *testing.T) []conformance.Shape {
	t.Helper()
	shapes, err := conformance.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	return shapes
}

// A shape that shows nothing without a gateway proves nothing of one.
func TestCorpusBites(t *testing.T) {
	if brief() {
		t.Skip("the whole corpus in all forms: WEIR_CONFORMANCE=full")
	}
	s := ready(t)
	o := s.options("strict")
	o.Target, o.Twin = o.Direct, o.TwinDirect
	findings, err := conformance.Run(t.Context(), o, corpus(t))
	if err != nil {
		t.Fatal(err)
	}
	bites := map[string]bool{}
	for _, f := range findings {
		bites[f.ID] = bites[f.ID] || f.Verdict.Bad() || f.Shape.Benign || f.Shape.Refused
		if f.Shape.Benign && f.Verdict.Bad() {
			t.Errorf("%s (%s) is not the same twice: %s", f.ID, f.Via, f.Why)
		}
	}
	for _, f := range findings {
		if !bites[f.ID] {
			t.Errorf("%s (%s) shows nothing even without a gateway: %s %s", f.ID, f.Via, f.Verdict, f.Why)
			bites[f.ID] = true
		}
	}
}

// What the corpus finds is what is known, with a reason, and nothing else: neither
// more nor less.
func TestGateway(t *testing.T) {
	s := ready(t)
	o := s.options("strict")
	o.Brief = brief()
	findings, err := conformance.Run(t.Context(), o, corpus(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range conformance.Table(findings) {
		t.Log(r.Family, r.Count)
	}
	open := known(t)
	found := map[string]bool{}
	for _, f := range conformance.Bad(findings) {
		found[f.ID] = true
		if open[f.ID] != f.Verdict {
			t.Errorf("%s %s (%s): %s\n\t%s", f.Verdict, f.ID, f.Via, f.Why, f.SQL)
		}
	}
	for id, verdict := range open {
		if !found[id] {
			t.Errorf("%s is known as %s, and is not found any more: take it out of testdata/known", id, verdict)
		}
	}
}

// known are the findings of testdata/known by shape. Each has its reason there.
func known(t *testing.T) map[string]conformance.Verdict {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "known"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]conformance.Verdict{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		what, reason, ok := strings.Cut(lines.Text(), " :: ")
		verdict, id, two := strings.Cut(what, " ")
		if !ok || !two || reason == "" {
			t.Fatalf("testdata/known: %q: want VERDICT FAMILY/SHAPE :: reason", lines.Text())
		}
		all[id] = conformance.Verdict(verdict)
	}
	return all
}

// What a random statement shows is shown by a shorter one.
func TestShorten(t *testing.T) {
	s := ready(t)
	o := s.options("strict")
	o.Target, o.Twin, o.TwinDirect = o.Direct, "", "" // no gateway: much shows
	scheme, shapes := conformance.Random(1, 60)
	o.Scheme = scheme
	findings, err := conformance.Run(t.Context(), o, shapes)
	if err != nil {
		t.Fatal(err)
	}
	longest := conformance.Finding{}
	for _, f := range conformance.Bad(findings) {
		if len(f.SQL) > len(longest.SQL) {
			longest = f
		}
	}
	number := slices.IndexFunc(shapes, func(s conformance.Shape) bool { return s.ID() == longest.ID })
	short, err := conformance.Shorten(t.Context(), o, 1, number)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(short.SQL, "; "); len(text) > len(longest.SQL)/2 {
		t.Errorf("%s\nwas shortened to no less than\n%s", longest.SQL, text)
	}
}

// Random statements show nothing: what no shape of the corpus has thought of. The
// seed is in the name of each.
func TestRandom(t *testing.T) {
	s := ready(t)
	o := s.options("strict")
	o.Brief = true
	seed := uint64(1)
	if text := os.Getenv("WEIR_CONFORMANCE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	scheme, shapes := conformance.Random(seed, 100)
	o.Scheme = scheme
	findings, err := conformance.Run(t.Context(), o, shapes)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Verdict.Bad() {
			t.Errorf("%s %s (%s): %s\n\t%s", f.Verdict, f.ID, f.Via, f.Why, f.SQL)
		}
	}
	answered, refused, failed := conformance.Fate(findings)
	if t.Logf("%d answered, %d refused, %d failed", answered, refused, failed); answered < len(findings)/3 {
		t.Errorf("of %d only %d were answered", len(findings), answered)
	}
}
