package event

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/canonical"
)

func TestShortenKeepsSmallBodies(t *testing.T) {
	body := []byte(`{"operation":{"text":"select 1"}}`)
	got, cuts, err := Shorten(body, 1<<10)
	if err != nil || len(cuts) != 0 || !bytes.Equal(got, body) {
		t.Errorf("got %s, %v, %v", got, cuts, err)
	}
}

func TestShortenCutsEachTextOnce(t *testing.T) {
	text := strings.Repeat("é0123456789", 100_000)
	body, err := canonical.Marshal(map[string]any{
		"operation": map[string]any{"text": text, "action": "insert", "risks": []string{"no_where"}},
		"input":     map[string]any{"operation": map[string]any{"text": text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, cuts, err := Shorten(body, 256<<10)
	if err != nil {
		t.Fatal(err)
	}
	if len(cuts) != 1 || cuts[0].Text != text {
		t.Fatalf("%d cuts, want the text once", len(cuts))
	}
	for _, want := range []string{cuts[0].Digest, `"bytes":1200000`, `"risks":["no_where"]`, `"head":"é0123456789`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestShortenBoundsAnyBody(t *testing.T) {
	const limit = 16 << 10
	rapid.Check(t, func(t *rapid.T) {
		parameters := make([]string, rapid.IntRange(0, 3000).Draw(t, "parameters"))
		for i := range parameters {
			parameters[i] = strings.Repeat("p", i%40)
		}
		headers := map[string]string{}
		for i := range rapid.IntRange(0, 500).Draw(t, "headers") {
			headers[strings.Repeat("h", i)] = "v"
		}
		body, err := canonical.Marshal(map[string]any{
			"operation": map[string]any{"parameters": parameters, "headers": headers,
				"text": strings.Repeat("t", rapid.IntRange(0, 40_000).Draw(t, "text"))},
			"decision": map[string]any{"effect": "allow"},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, cuts, err := Shorten(body, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > limit {
			t.Fatalf("%d bytes", len(got))
		}
		if !bytes.Contains(got, []byte(`"effect":"allow"`)) {
			t.Fatal("the decision was cut")
		}
		for _, c := range cuts {
			if !bytes.Contains(got, []byte(c.Digest)) {
				t.Fatalf("the text %s is referred to nowhere", c.Digest)
			}
		}
		if again, err := canonical.Form(bytes.Clone(got)); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("not canonical: %v", err)
		}
		back, err := Restore(got, func(digest string) ([]byte, bool, error) {
			for _, c := range cuts {
				if c.Digest == digest {
					return []byte(c.Text), true, nil
				}
			}
			return nil, false, fmt.Errorf("no text %s", digest)
		})
		if err != nil || !bytes.Equal(back, body) {
			t.Fatalf("restored differently (%v)", err)
		}
	})
}

func TestRestoreWithoutTheText(t *testing.T) {
	body, err := canonical.Marshal(map[string]any{"text": strings.Repeat("select ", 10_000), "$cut": "a client's own"})
	if err != nil {
		t.Fatal(err)
	}
	short, cuts, err := Shorten(body, 1<<10)
	if err != nil || len(cuts) != 1 {
		t.Fatal(len(cuts), err)
	}
	got, err := Restore(short, func(string) ([]byte, bool, error) { return nil, false, nil })
	if err != nil || !strings.Contains(string(got), `"text":"select select`) || !strings.Contains(string(got), "no longer kept") {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Restore(short, func(string) ([]byte, bool, error) { return []byte("another"), true, nil }); err == nil {
		t.Error("another text was taken")
	}
}

// TestAppendBodyCutsWhatShortenCuts compares the way of an event's body with the
// one that defines it: encode all, then cut.
func TestAppendBodyCutsWhatShortenCuts(t *testing.T) {
	const limit = 4 << 10
	var enc canonical.Encoder
	text := rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"t", "é", "\n", "\xff", "\""}).Draw(t, "unit")
		return strings.Repeat(unit, rapid.SampledFrom([]int{0, 10, 60, 130, 260, 300, 900, 3000, 4100, 5000}).Draw(t, "length"))
	})
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(text, 0, 6).Draw(t, "texts")
		body := map[string]any{
			"list": texts, "again": texts, "text": text.Draw(t, "text"), "names": map[string]string{text.Draw(t, "name"): "v"},
			"parameters": make([]int, rapid.SampledFrom([]int{0, 10, 1000, 3000}).Draw(t, "parameters")),
			"raw":        canonical.Raw(canonical.AppendString(nil, text.Draw(t, "raw"))),
		}
		whole, err := canonical.Marshal(body)
		if err != nil {
			t.Skip(err)
		}
		want, wantCuts, err := Shorten(whole, limit)
		if err != nil {
			t.Fatal(err)
		}
		got, cuts, err := AppendBody([]byte("before"), &enc, body, limit)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before"+string(want) {
			t.Fatalf("got %.200s\nwant %.200s", got, want)
		}
		if diff := cmp.Diff(wantCuts, cuts); diff != "" {
			t.Fatalf("cuts (-want +got):\n%s", diff)
		}
	})
}
