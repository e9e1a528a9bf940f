package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
)

// testdata/attacks holds one file for each way that was ever tried to see what is
// masked or to run what is refused. The lines of a file are
//
//	# a comment
//	> MESSAGE ARGUMENTS   the client adds a message to what it sends next
//	< DESCRIPTION         the client must see this
//
// What stands between two answers is sent in one write. Masks and refusals are
// those of maskPII and noDelete, the tables those of the shop. Whatever a file
// expects, no answer may hold a protected value.
func TestAttacks(t *testing.T) {
	w, address := maskedWorld(t)
	w.rule(func(in *gate.Input) gate.Decision {
		if d := noDelete(in); d.Effect != gate.Allow {
			return d
		}
		return maskPII(in)
	})
	files, err := filepath.Glob("testdata/attacks/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no attacks", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, dialRaw(t, address), file) })
	}
}

func play(t *testing.T, c *rawClient, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var send []pgproto3.FrontendMessage
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "> "):
			send = append(send, clientMessage(t, line[2:]))
		case strings.HasPrefix(line, "< "):
			c.send(send...)
			send = nil
			m := c.receive()
			got := describeMessage(m)
			for got == "" { // a parameter status
				m = c.receive()
				got = describeMessage(m)
			}
			if e, ok := m.(*pgproto3.ErrorResponse); ok && leaks([]byte(e.Message+e.Detail+e.Hint+e.Where)) {
				t.Fatalf("a protected value was delivered in an error: %+v", e)
			}
			if leaks([]byte(got)) {
				t.Fatalf("a protected value was delivered: %s", got)
			}
			if got != line[2:] {
				t.Fatalf("the client saw %q, not %q", got, line[2:])
			}
		default:
			t.Fatalf("line %q is not understood", line)
		}
	}
}

// clientMessage reads "query SQL", "parse NAME SQL", "bind PORTAL NAME",
// "describe S|P NAME", "execute PORTAL", "close S|P NAME", "sync" or "flush"; the
// name - is the unnamed one.
func clientMessage(t *testing.T, line string) pgproto3.FrontendMessage {
	t.Helper()
	kind, rest, _ := strings.Cut(line, " ")
	first, second, _ := strings.Cut(rest, " ")
	name := func(s string) string { return strings.TrimPrefix(s, "-") }
	switch kind {
	case "query":
		return &pgproto3.Query{String: rest}
	case "parse":
		return &pgproto3.Parse{Name: name(first), Query: second}
	case "bind":
		return &pgproto3.Bind{DestinationPortal: name(first), PreparedStatement: name(second)}
	case "describe":
		return &pgproto3.Describe{ObjectType: first[0], Name: name(second)}
	case "execute":
		return &pgproto3.Execute{Portal: name(first)}
	case "close":
		return &pgproto3.Close{ObjectType: first[0], Name: name(second)}
	case "sync":
		return &pgproto3.Sync{}
	case "flush":
		return &pgproto3.Flush{}
	}
	t.Fatalf("message %q is not known", kind)
	return nil
}
