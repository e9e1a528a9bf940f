package envoy

import (
	"log/slog"
	"testing"
)

// The messages are Envoy's own, of a request with a token.
func TestChattyLevelsTellNoSecret(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{`[trace][http] [Tags: "ConnectionId":"1"] completed header: key=Authorization value=Bearer secret`, `[Tags: "ConnectionId":"1"] completed header …`},
		{`[debug][http] [Tags: "ConnectionId":"1","StreamId":"2"] request headers complete (end_stream=true):\n'authorization', 'Bearer secret'\n`, `[Tags: "ConnectionId":"1","StreamId":"2"] request headers complete (end_stream=true) …`},
		{`[debug][router] [C1][S2] router decoding headers:\n'authorization', 'Bearer secret'\n`, `[C1][S2] router decoding headers …`},
		{`[trace][ext_proc] [Tags: "ConnectionId":"1"] Received request headers response goo.gle/debugstr   \nrequest_headers {\n  raw_value: \"secret\"\n}\n`, `[Tags: "ConnectionId":"1"] Received request headers response goo.gle/debugstr    …`},
		{`[debug][lua] script log: secret`, ` …`},
		{`[debug][pool] [C3] creating a new connection (connecting=0)`, `[C3] creating a new connection (connecting=0)`},
		{`[info][main] starting main dispatch loop`, `starting main dispatch loop`},
		{`[warning][config] one: two\nthree`, "one: two\nthree"},
	} {
		r, ok := parseLine(tc.line)
		if !ok {
			t.Fatalf("%s is no line of Envoy's", tc.line)
		}
		r.redact()
		if r.message != tc.want {
			t.Errorf("%q, want %q", r.message, tc.want)
		}
		if r.level == slog.LevelDebug && len(r.message) > 100 {
			t.Errorf("%q is long", r.message)
		}
	}
}
