package event

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/canonical"
	"github.com/weir-gateway/weir/internal/gate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	goldenWriter = uuid.MustParse("0197c3f2-0000-7000-8000-0000000000ff")
	goldenTime   = time.Date(2025, 11, 24, 10, 0, 0, 123456000, time.UTC)
)

// TestGolden holds the canonical bytes and their hash still: a change here
// breaks the verification of what was recorded before.
func TestGolden(t *testing.T) {
	cases := map[string]Event{
		"operation.requested": {Kind: "operation.requested", Session: "0197c3f2-0000-7000-8000-000000000000",
			Operation: "0197c3f2-0000-7000-8000-000000000001", Target: "orders", Subject: "agent-1",
			Body: mustCanonical(t, sampleBody("select id, ssn, email from customers\nwhere id = $1 -- Ünïcode \"quoted\""))},
		"operation.completed": {Kind: "operation.completed", Session: "0197c3f2-0000-7000-8000-000000000000",
			Operation: "0197c3f2-0000-7000-8000-000000000001", Target: "orders", Subject: "agent-1",
			Notes: []byte(`{"originals":"sealed"}`),
			Body: mustCanonical(t, gate.Outcome{Status: "ok", Tag: "SELECT 3", Rows: 3, Bytes: 1234, Millis: 1.25,
				Masked: map[string]int{"pii.ssn": 3}, Digest: strings.Repeat("ab", 32)})},
		"session.refused": {Kind: "session.refused", Target: "orders", Body: mustCanonical(t, map[string]any{
			"client": gate.Client{Address: "10.0.0.1:4711", TLS: "TLSv1.3"}, "reason": "the token has expired"})},
	}
	for name, e := range cases {
		t.Run(name, func(t *testing.T) {
			e.ID = uuid.MustParse("0197c3f2-1111-7000-8000-000000000001")
			e.Writer, e.Seq, e.Time = goldenWriter, 7, goldenTime
			e.Prev = Leaf([]byte("the one before"))
			line := e.AppendCanonical(nil)
			leaf := Leaf(line)
			got := string(line) + "\n" + hex.EncodeToString(leaf[:]) + "\n"
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("canonical bytes changed (-want +got):\n%s", diff)
			}
		})
	}
}

func mustCanonical(t testing.TB, v any) []byte {
	t.Helper()
	body, err := canonical.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func drawEvent(t *rapid.T) *Event {
	text := rapid.OneOf(rapid.String(), rapid.Just(`,"event_id":"`))
	body, err := canonical.Marshal(map[string]any{
		"operation": map[string]any{"text": text.Draw(t, "text"), "event_id": text.Draw(t, "id")},
		"rows":      rapid.Int64().Draw(t, "rows"), "ms": rapid.Float64().Draw(t, "ms"),
	})
	if err != nil {
		t.Fatal(err)
	}
	e := &Event{
		ID: uuid.Must(uuid.NewV7()), Writer: uuid.New(), Seq: rapid.Uint64Range(1, 1<<53).Draw(t, "seq"),
		Time:    time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "ts")).UTC(),
		Kind:    rapid.StringN(1, 20, -1).Draw(t, "kind"),
		Session: rapid.String().Draw(t, "session"), Operation: rapid.String().Draw(t, "operation"),
		Target: rapid.String().Draw(t, "target"), Subject: rapid.String().Draw(t, "subject"),
		Body: body,
	}
	if rapid.Bool().Draw(t, "notes") {
		e.Notes = []byte(`{"originals":"sealed"}`)
	}
	copy(e.Prev[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prev"))
	return e
}

func TestEventIsCanonicalAndParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		line := e.AppendCanonical(nil)
		formatted := jsontext.Value(bytes.Clone(line))
		if err := formatted.Canonicalize(); err != nil || !bytes.Equal(formatted, line) {
			t.Fatalf("not canonical (%v):\n%s\n%s", err, line, formatted)
		}
		if NewHasher().Leaf(line) != Leaf(line) {
			t.Fatal("two hashes of one leaf")
		}
		back, err := Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Fatalf("parsed back (-want +got):\n%s", diff)
		}
		scanned, err := Scan(line)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, scanned); diff != "" {
			t.Fatalf("scanned (-want +got):\n%s", diff)
		}
	})
}

// TestScanLeavesNothingToParse: what a recorder commonly writes is read the
// quick way.
func TestTimeIsWrittenInItsFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<38, 1<<38).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		if got, want := string(appendTime(nil, at)), at.Format(TimeFormat); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func TestScanLeavesNothingToParse(t *testing.T) {
	e := sampleEvent(t)
	got := &Event{}
	if !got.scan(e.AppendCanonical(nil)) {
		t.Fatal("the common form is not known")
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParsePassesOverLaterNames(t *testing.T) {
	e := sampleEvent(t)
	line := e.AppendCanonical(nil)
	later := strings.Replace(string(line), `,"operation":"o"`, `,"new":{"x":[1]},"old":"y","operation":"o"`, 1)
	back, err := Parse([]byte(later))
	if err != nil || back.Seq != e.Seq {
		t.Errorf("got %v, %v", back, err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(sampleEvent(t).AppendCanonical(nil))
	for name, bad := range map[string]string{
		"nothing":        "",
		"list":           "[]",
		"cut short":      good[:len(good)-1],
		"two":            good + good,
		"no seq":         strings.Replace(good, `"seq":7`, `"seq":0`, 1),
		"bad seq":        strings.Replace(good, `"seq":7`, `"seq":-1`, 1),
		"bad writer":     strings.Replace(good, `"writer":"`, `"writer":"x`, 1),
		"bad hash":       strings.Replace(good, `"prev":"00`, `"prev":"`, 1),
		"no body":        strings.Replace(good, `{"body":`, `{"b":`, 1),
		"twice":          strings.Replace(good, `,"seq":7`, `,"seq":7,"seq":8`, 1),
		"out of order":   strings.Replace(good, `,"seq":7`, `,"zeq":7`, 1),
		"bad time":       strings.Replace(good, `"ts":"2`, `"ts":"x`, 1),
		"name not there": strings.Replace(good, `"kind":"operation.requested"`, `"kinD":"operation.requested"`, 1),
	} {
		for _, read := range []func([]byte) (*Event, error){Parse, Scan} {
			if e, err := read([]byte(bad)); err == nil {
				t.Errorf("%s: accepted as %s %d", name, e.Kind, e.Seq)
			}
		}
	}
}

func TestLinesGiveExactBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var batch []byte
		var want, got []string
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			line := drawEvent(t).AppendCanonical(nil)
			want = append(want, string(line))
			batch = AppendLine(batch, line)
		}
		var d BatchDecoder
		for _, message := range [][]byte{batch, PackBatch([]byte("earlier"), uuid.New(), batch)} {
			got = nil
			unpacked, err := d.Decode(message)
			if err != nil {
				t.Fatal(err)
			}
			if err := Lines(unpacked, func(c []byte) error { got = append(got, string(c)); return nil }); err != nil {
				t.Fatal(err)
			}
			if size := BatchSize(message); size < len(unpacked) {
				t.Fatalf("size %d of %d bytes", size, len(unpacked))
			}
		}
		if err := Lines(nil, func([]byte) error { return errors.New("there is none") }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(sampleEvent(f).AppendCanonical(nil))
	f.Add([]byte(`{"body":1,"seq":1}`))
	f.Add([]byte(`{"ts":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, err := Parse(raw); err == nil && (e.Seq == 0 || len(e.Body) == 0) {
			t.Errorf("%q parsed as %+v", raw, e)
		}
		e := &Event{}
		if !e.scan(raw) || !jsontext.Value(raw).IsValid() {
			return
		}
		if parsed, err := Parse(raw); err == nil && !cmp.Equal(parsed, e) {
			t.Errorf("%q scanned as %+v, parsed as %+v", raw, e, parsed)
		}
	})
}

func FuzzBatchDecoder(f *testing.F) {
	f.Add(PackBatch(nil, uuid.Nil, []byte("{}\n")))
	f.Add([]byte("{}\n"))
	f.Add([]byte{batchPacked})
	f.Fuzz(func(t *testing.T, message []byte) {
		var d BatchDecoder
		if batch, err := d.Decode(message); err == nil && len(batch) > maxUnpacked {
			t.Errorf("%d bytes", len(batch))
		}
	})
}
