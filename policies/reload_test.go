package policies

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/internal/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	allows = "package weir.rules.a\n\nallow if input.operation.action == \"select\"\n"
	denies = "package weir.rules.a\n\ndeny contains {\"code\": \"closed\", \"message\": \"closed\"} if true\n"
	broken = "package weir.rules.a\n\nallow if {\n"
)

func reload(t *testing.T, e *Engine) (bool, error) {
	t.Helper()
	return e.Reload(t.Context())
}

func TestReload(t *testing.T) {
	var seen []Activation
	dir := bundleOf(t, "a.rego", allows, "old.rego", "package weir.rules.old\n\nallow if false\n")
	e, err := New(t.Context(), Config{Bundle: dir}, Deps{OnActivate: func(_ context.Context, a Activation) error {
		seen = append(seen, a)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	first := e.Status()
	if d := decide(t, e, agentInput()); d.Effect != gate.Allow || d.Revision != first.Revision {
		t.Fatalf("%s %s", d.Effect, d.Revision)
	}
	if changed, err := reload(t, e); changed || err != nil {
		t.Errorf("nothing has changed: %v, %v", changed, err)
	}

	write(t, dir, "a.rego", denies)
	write(t, dir, "new/b.rego", "package weir.rules.b\n\nallow if false\n")
	if err := os.Remove(filepath.Join(dir, "old.rego")); err != nil {
		t.Fatal(err)
	}
	if changed, err := reload(t, e); !changed || err != nil {
		t.Fatalf("%v, %v", changed, err)
	}
	if d := decide(t, e, agentInput()); d.Code() != "closed" || d.Revision == first.Revision {
		t.Errorf("the old rules decide, or their cache: %s", d.Reason())
	}
	if len(seen) != 2 {
		t.Fatalf("%d activations", len(seen))
	}
	if seen[0].Summary() != "first revision, 2 files" || seen[0].Previous != "" {
		t.Errorf("%+v", seen[0])
	}
	got := seen[1]
	if got.Previous != first.Revision || got.Revision != e.Status().Revision || got.Summary() != "1 files added, 1 changed, 1 removed" {
		t.Errorf("%s: %+v", got.Summary(), got)
	}
	want := [][]string{{"new/b.rego"}, {"a.rego"}, {"old.rego"}, {"weir.rules.a", "weir.rules.b"}}
	if diff := cmp.Diff(want, [][]string{got.Added, got.Changed, got.Removed, got.Packages}); diff != "" {
		t.Error(diff)
	}
}

func TestLastGoodRevisionStays(t *testing.T) {
	dir := bundleOf(t, "a.rego", allows)
	e := engineWith(t, Config{Bundle: dir})
	good := e.Status().Revision
	write(t, dir, "a.rego", broken)
	changed, err := reload(t, e)
	var bundle *BundleError
	if changed || !errors.As(err, &bundle) {
		t.Fatalf("%v, %v", changed, err)
	}
	if d := decide(t, e, agentInput()); d.Effect != gate.Allow || d.Revision != good {
		t.Errorf("%s by %s", d.Effect, d.Revision)
	}
	if s := e.Status(); s.Revision != good || !strings.Contains(s.Error, "a.rego:4:1: rego_parse_error") || s.FailedAt.IsZero() {
		t.Errorf("%+v", s)
	}
	write(t, dir, "a.rego", allows)
	if _, err := reload(t, e); err != nil {
		t.Fatal(err)
	}
	if s := e.Status(); s.Error != "" {
		t.Errorf("the error outlives its cause: %s", s.Error)
	}
}

func TestNoFirstRevision(t *testing.T) {
	if _, err := New(t.Context(), Config{Bundle: bundleOf(t, "a.rego", broken)}, Deps{}); err == nil {
		t.Error("want an error")
	}
	if _, err := New(t.Context(), Config{Bundle: filepath.Join(t.TempDir(), "gone")}, Deps{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What cannot be recorded does not become active.
func TestActivationThatCannotBeRecorded(t *testing.T) {
	dir := bundleOf(t, "a.rego", allows)
	var dead atomic.Bool
	full := errors.New("disk full")
	e, err := New(t.Context(), Config{Bundle: dir}, Deps{OnActivate: func(context.Context, Activation) error {
		if dead.Load() {
			return full
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	dead.Store(true)
	write(t, dir, "a.rego", denies)
	if _, err := reload(t, e); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if d := decide(t, e, agentInput()); d.Effect != gate.Allow {
		t.Errorf("%s", d.Effect)
	}
}

// A new classification is a new revision.
func TestClassificationIsPartOfTheRevision(t *testing.T) {
	var targets atomic.Pointer[classified]
	targets.Store(&classified{})
	var last Activation
	e, err := New(t.Context(), Config{Bundle: bundleOf(t, "a.rego", allows)}, Deps{
		Classification: func() Classification { return versioned{*targets.Load()} },
		OnActivate: func(_ context.Context, a Activation) error {
			last = a
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	in := agentInput()
	in.Operation.Risks = []string{"opaque"}
	if d := decide(t, e, in); d.Effect != gate.Allow {
		t.Fatal(d.Reason())
	}
	targets.Store(&classified{"orders"})
	if changed, err := reload(t, e); !changed || err != nil {
		t.Fatalf("%v, %v", changed, err)
	}
	if d := decide(t, e, in); d.Code() != "opaque" {
		t.Errorf("%s", d.Reason())
	}
	if !last.Classification || !strings.HasSuffix(last.Summary(), "classification changed") {
		t.Errorf("%+v", last)
	}
}

// versioned is a classification whose revision follows its targets.
type versioned struct{ classified }

func (v versioned) Revision() string { return strings.Join(v.classified, ",") }

// The same files have the same revision anywhere; one more builtin is another.
func TestRevisionFollowsTheContent(t *testing.T) {
	a, b := engineOf(t, "a.rego", allows), engineOf(t, "a.rego", allows)
	if a.Status().Revision != b.Status().Revision {
		t.Error("two revisions of one content")
	}
	for name, e := range map[string]*Engine{
		"other rules":     engineOf(t, "a.rego", denies),
		"another name":    engineOf(t, "b.rego", allows),
		"a data file":     engineOf(t, "a.rego", allows, "data.json", "{}"),
		"another builtin": engineWith(t, Config{Bundle: bundleOf(t, "a.rego", allows), Builtins: []string{"http.send"}}),
	} {
		if e.Status().Revision == a.Status().Revision {
			t.Errorf("%s: the same revision", name)
		}
	}
}

// Every decision is by one whole revision while revisions change under it.
func TestDecideWhileReloading(t *testing.T) {
	dir := bundleOf(t, "a.rego", allows)
	e := engineWith(t, Config{Bundle: dir, Timeout: time.Hour}) // however busy the machine is
	allowed := e.Status().Revision
	stop := make(chan struct{})
	var deciders sync.WaitGroup
	for range 4 {
		deciders.Go(func() {
			in := agentInput()
			for {
				select {
				case <-stop:
					return
				default:
				}
				d, err := e.Decide(context.Background(), in)
				if err != nil || (d.Effect == gate.Allow) != (d.Revision == allowed) {
					t.Errorf("%s by %s: %v", d.Effect, d.Revision, err)
					return
				}
			}
		})
	}
	for i := range 20 {
		text := []string{denies, allows, broken}[i%3]
		write(t, dir, "a.rego", text)
		if _, err := reload(t, e); (err != nil) != (text == broken) {
			t.Error(err)
		}
	}
	close(stop)
	deciders.Wait()
}

// eventually waits for a condition that another goroutine makes true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestRunFollowsTheFolder(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "policies")
	write(t, dir, "a.rego", allows)
	e := engineWith(t, Config{Bundle: dir})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	code := func() string {
		d := decide(t, e, agentInput())
		return d.Code()
	}
	allowed := func() bool { return decide(t, e, agentInput()).Effect == gate.Allow }

	write(t, dir, "a.rego", denies)
	eventually(t, "a changed file decides", func() bool { return code() == "closed" })
	write(t, dir, "a.rego", broken)
	eventually(t, "the failure is told", func() bool { return e.Status().Error != "" })
	if code() != "closed" {
		t.Error("the last good revision does not decide")
	}
	write(t, dir, "a.rego", allows)
	eventually(t, "a corrected file decides", allowed)
	write(t, dir, "sub/deeper/b.rego", strings.Replace(denies, "rules.a", "rules.b", 1))
	eventually(t, "a file in a new folder decides", func() bool { return code() == "closed" })
	write(t, dir, "sub/deeper/b.rego", strings.Replace(allows, "rules.a", "rules.b", 1))
	eventually(t, "a changed file in a new folder decides", allowed)

	// The folder is replaced as a whole.
	write(t, parent, "next/a.rego", denies)
	if err := os.Rename(dir, filepath.Join(parent, "before")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss of the folder is told", func() bool { return e.Status().Error != "" })
	if !allowed() {
		t.Error("the last good revision does not decide")
	}
	if err := os.Rename(filepath.Join(parent, "next"), dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new folder decides", func() bool { return code() == "closed" })

	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunWithoutABundle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := engineWith(t, Config{}).Run(ctx); err != nil {
		t.Error(err)
	}
}

// gathered are all counts, by name and label.
func gathered(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	dir := bundleOf(t, "a.rego", allows)
	e, err := New(t.Context(), Config{Bundle: dir}, Deps{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	decide(t, e, agentInput())
	decide(t, e, agentInput())
	in := agentInput()
	in.Operation.Action, in.Operation.Statements = "ddl", nil
	decide(t, e, in)
	if _, err := e.Decide(t.Context(), nil); err == nil {
		t.Fatal("want an error")
	}
	write(t, dir, "a.rego", broken)
	if _, err := reload(t, e); err == nil {
		t.Fatal("want an error")
	}
	want := map[string]float64{
		"weir_policy_active " + e.Status().Revision: 1,
		"weir_policy_cache_hits_total":              1,
		"weir_policy_decisions_total allow":         2,
		"weir_policy_decisions_total deny":          1,
		"weir_policy_decisions_total hold":          0,
		"weir_policy_errors_total evaluation":       1,
		"weir_policy_evaluation_seconds":            2,
		"weir_policy_reloads_total error":           1,
		"weir_policy_reloads_total ok":              1,
	}
	if diff := cmp.Diff(want, gathered(t, registry)); diff != "" {
		t.Error(diff)
	}
	if _, err := New(t.Context(), Config{Bundle: dir}, Deps{Registerer: registry}); err == nil {
		t.Error("registered twice")
	}
}
