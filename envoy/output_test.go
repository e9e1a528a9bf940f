package envoy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// logOf is what the log says of what a child prints to its standard error.
func logOf(print string) (log string, o *output) {
	var buf bytes.Buffer
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	o = newOutput(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime})))
	_, _ = o.log().Write([]byte(print))
	o.flush()
	return buf.String(), o
}

func TestEnvoysLogIsOurs(t *testing.T) {
	tests := []struct{ name, print, want string }{
		{"a level and a component", "[warning][main] careful\n", "level=WARN msg=careful component=main\n"},
		{"critical", "[critical][assert] broken\n", "level=ERROR msg=broken component=assert\n"},
		{"trace", "[trace][http2] frame\n", "level=DEBUG msg=frame component=http2\n"},
		{"several lines in one record", `[error][config] first\n  second \'quoted\' back\\slash` + "\n", `level=ERROR msg="first\n  second 'quoted' back\\slash" component=config` + "\n"},
		{"not of Envoy's logger", "terminate called\n", "level=WARN msg=\"terminate called\" component=stderr\n"},
		{"no end of line", "[info][main] last", "level=INFO msg=last component=main\n"},
		{"an unknown level", "[loud][main] hm\n", "level=WARN msg=\"[loud][main] hm\" component=stderr\n"},
		{"a rejection, which weir tells of itself", "[warning][config] delta config for x rejected: y\n", "level=DEBUG msg=\"delta config for x rejected: y\" component=config\n"},
		{
			"what follows from stopping", "[warning][main] caught ENVOY_SIGTERM\n[warning][config] stream closed\n[error][main] but this\n",
			"level=DEBUG msg=\"caught ENVOY_SIGTERM\" component=main\nlevel=DEBUG msg=\"stream closed\" component=config\nlevel=ERROR msg=\"but this\" component=main\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := logOf(tt.print)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLastWordsAreTheComplaints(t *testing.T) {
	_, o := logOf("[info][main] fine\n[critical][main] error initializing: nope\nlibm.so.6: not found\n")
	if got, want := o.lastWords(), "error initializing: nope; libm.so.6: not found"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAccessLog(t *testing.T) {
	var buf bytes.Buffer
	o := newOutput(slog.New(slog.NewJSONHandler(&buf, nil)))
	_, _ = o.accessLog().Write([]byte(`{"target":"orders","code":200}` + "\nplain\n"))
	for _, want := range []string{`"msg":"access","component":"access","code":200,"target":"orders"`, `"msg":"plain","component":"stdout"`} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("%s lacks %s", buf.String(), want)
		}
	}
}

// However output is cut into writes, the lines are the same, and nothing of
// them is lost but their ends.
func TestLinesDoNotDependOnWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-z]{0,5}\n?){0,20}`).Draw(t, "text")
		var got []string
		w := &lineWriter{line: func(s string) { got = append(got, s) }}
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if k, err := w.Write([]byte(rest[:n])); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		w.flush()
		var want []string
		for line := range strings.SplitSeq(text, "\n") {
			if line != "" {
				want = append(want, line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestALongLineIsCut(t *testing.T) {
	var got []int
	w := &lineWriter{line: func(s string) { got = append(got, len(s)) }}
	_, _ = w.Write(bytes.Repeat([]byte("x"), 2*maxLine+1))
	_, _ = w.Write([]byte("\n"))
	if diff := cmp.Diff([]int{maxLine, maxLine, 1}, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add("[warning][main] careful")
	f.Add(`[error][config] a\nb\\n`)
	f.Add("[][] ")
	f.Add("no record")
	f.Fuzz(func(t *testing.T, line string) {
		r, ok := parseLine(line)
		if ok && r.component == "" && !strings.Contains(line, "[]") {
			t.Errorf("%q lost its component", line)
		}
		if len(r.message) > len(line) {
			t.Errorf("%q grew to %q", line, r.message)
		}
	})
}
