package gate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStricter(t *testing.T) {
	redact := MaskSpec{With: "redact"}
	tests := []struct {
		name       string
		a, b, want MaskSpec
	}{
		{"redact over partial", MaskSpec{With: "partial", KeepLast: 4}, redact, redact},
		{"redact over null", MaskSpec{With: "null"}, redact, redact},
		{"null over hash", MaskSpec{With: "hash"}, MaskSpec{With: "null"}, MaskSpec{With: "null"}},
		{"hash over fake", MaskSpec{With: "fake"}, MaskSpec{With: "hash"}, MaskSpec{With: "hash"}},
		{"fake over partial", MaskSpec{With: "fake"}, MaskSpec{With: "partial"}, MaskSpec{With: "fake"}},
		{"neither end of both", MaskSpec{With: "partial", KeepFirst: 2}, MaskSpec{With: "partial", KeepLast: 4}, MaskSpec{With: "partial"}},
		{"wider", MaskSpec{With: "range", Size: 10}, MaskSpec{With: "range", Size: 100}, MaskSpec{With: "range", Size: 100}},
		{"coarser", MaskSpec{With: "date_trunc", Unit: "day"}, MaskSpec{With: "date_trunc", Unit: "year"}, MaskSpec{With: "date_trunc", Unit: "year"}},
		{"unknown is redact", MaskSpec{With: "blur"}, MaskSpec{With: "null"}, redact},
		{"the zero value is redact", MaskSpec{}, MaskSpec{With: "hash"}, redact},
		{"a unit nobody knows", MaskSpec{With: "date_trunc", Unit: "eon"}, MaskSpec{With: "date_trunc", Unit: "day"}, redact},
		{"a bucket without width", MaskSpec{With: "range"}, MaskSpec{With: "range", Size: 5}, redact},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.a.Stricter(tt.b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The order in which rules speak makes no difference.
func TestStricterIsASemilattice(t *testing.T) {
	spec := rapid.Custom(func(t *rapid.T) MaskSpec {
		return MaskSpec{
			With:      rapid.SampledFrom([]string{"redact", "null", "hash", "fake", "partial", "range", "date_trunc", "x", ""}).Draw(t, "with"),
			KeepFirst: rapid.IntRange(-1, 3).Draw(t, "first"),
			KeepLast:  rapid.IntRange(-1, 3).Draw(t, "last"),
			Unit:      rapid.SampledFrom([]string{"hour", "day", "month", "year", "x"}).Draw(t, "unit"),
			Size:      rapid.IntRange(-1, 3).Draw(t, "size"),
		}
	})
	// What a kind does not read may differ.
	seen := func(s MaskSpec) MaskSpec {
		switch s.With {
		case "partial":
			return MaskSpec{With: s.With, KeepFirst: s.KeepFirst, KeepLast: s.KeepLast}
		case "range":
			return MaskSpec{With: s.With, Size: s.Size}
		case "date_trunc":
			return MaskSpec{With: s.With, Unit: s.Unit}
		}
		return MaskSpec{With: s.With}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := spec.Draw(t, "a"), spec.Draw(t, "b"), spec.Draw(t, "c")
		if x, y := seen(a.Stricter(b)), seen(b.Stricter(a)); x != y {
			t.Fatalf("%+v, the other way round %+v", x, y)
		}
		if x, y := seen(a.Stricter(b).Stricter(c)), seen(a.Stricter(b.Stricter(c))); x != y {
			t.Fatalf("%+v, grouped otherwise %+v", x, y)
		}
	})
}
