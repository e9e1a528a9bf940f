package seal

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"
)

func newAuditor(t testing.TB) (*age.X25519Identity, *Sealer) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipients([]string{id.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	return id, s
}

// sealAll seals parts as one operation's originals.
func sealAll(k *Key, session, operation string, parts ...string) []Sealed {
	var out []Sealed
	var offset uint64
	for i, part := range parts {
		at := Position{Session: session, Operation: operation, Offset: offset, Final: i == len(parts)-1}
		out = append(out, Sealed{Position: at, Data: k.Seal(at, []byte(part))})
		offset += uint64(len(part))
	}
	return out
}

func each(chunks []Sealed) iter.Seq2[Sealed, error] {
	return func(yield func(Sealed, error) bool) {
		for _, c := range chunks {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func TestAuditorReadsWhatWasSealed(t *testing.T) {
	id, sealer := newAuditor(t)
	k, err := sealer.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	chunks := sealAll(k, "s1", "op1", "123-45-6789\n", "", "987-65-4321\n")
	for _, c := range chunks {
		if bytes.Contains(c.Data, []byte("45-6789")) {
			t.Error("a chunk holds the original in clear")
		}
	}
	var got bytes.Buffer
	if err := OpenSealed(id, k.Sealed, each(chunks), &got); err != nil {
		t.Fatal(err)
	}
	if want := "123-45-6789\n987-65-4321\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

func TestStrangerReadsNothing(t *testing.T) {
	_, sealer := newAuditor(t)
	stranger, _ := newAuditor(t)
	k, err := sealer.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	err = OpenSealed(stranger, k.Sealed, each(sealAll(k, "s", "o", "secret")), &got)
	if err == nil || got.Len() > 0 {
		t.Errorf("a stranger read %q (%v)", got.String(), err)
	}
}

func TestTamperingIsFound(t *testing.T) {
	id, sealer := newAuditor(t)
	k, err := sealer.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() []Sealed { return sealAll(k, "s", "o", "aaa", "bbb", "ccc") }
	other := sealAll(k, "s", "p", "aaa", "bbb", "ccc")
	for name, change := range map[string]func([]Sealed) []Sealed{
		"left off the end":      func(c []Sealed) []Sealed { return c[:2] },
		"all gone":              func([]Sealed) []Sealed { return nil },
		"one missing":           func(c []Sealed) []Sealed { return slices.Delete(c, 1, 2) },
		"swapped":               func(c []Sealed) []Sealed { c[0], c[1] = c[1], c[0]; return c },
		"data swapped":          func(c []Sealed) []Sealed { c[0].Data, c[1].Data = c[1].Data, c[0].Data; return c },
		"a bit":                 func(c []Sealed) []Sealed { c[1].Data[len(c[1].Data)-1] ^= 1; return c },
		"the counter":           func(c []Sealed) []Sealed { c[1].Data[0] ^= 1; return c },
		"from elsewhere":        func(c []Sealed) []Sealed { c[1].Data = other[1].Data; return c },
		"made final":            func(c []Sealed) []Sealed { c[1].Final = true; return c[:2] },
		"repeated":              func(c []Sealed) []Sealed { return append(c, c[2]) },
		"cut short":             func(c []Sealed) []Sealed { c[1].Data = c[1].Data[:5]; return c },
		"of another session":    func(c []Sealed) []Sealed { c[0].Session = "t"; return c },
		"session and operation": func(c []Sealed) []Sealed { c[0].Session, c[0].Operation = "so", ""; return c },
	} {
		if err := OpenSealed(id, k.Sealed, each(change(fresh())), &bytes.Buffer{}); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	if err := OpenSealed(id, k.Sealed, each(fresh()[:2]), &bytes.Buffer{}); !errors.Is(err, ErrTruncated) {
		t.Errorf("left off the end: %v", err)
	}
}

func TestSealRoundTrip(t *testing.T) {
	id, sealer := newAuditor(t)
	rapid.Check(t, func(t *rapid.T) {
		k, err := sealer.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		parts := rapid.SliceOfN(rapid.String(), 1, 8).Draw(t, "parts")
		var want, got bytes.Buffer
		for _, p := range parts {
			want.WriteString(p)
		}
		if err := OpenSealed(id, k.Sealed, each(sealAll(k, "s", "o", parts...)), &got); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Fatalf("got %q, want %q", got.String(), want.String())
		}
	})
}

func TestRecipients(t *testing.T) {
	if r, err := ParseRecipients(nil); err != nil || r != nil {
		t.Errorf("none: %v, %v", r, err)
	}
	if _, err := ParseRecipients([]string{"age1nonsense"}); err == nil {
		t.Error("a bad recipient was accepted")
	}
	if _, err := New(nil); err == nil {
		t.Error("sealed for nobody")
	}
}
