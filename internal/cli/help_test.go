package cli_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/cli"
)

func run(t *testing.T, args ...string) (out, err string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Main(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return stdout.String(), stderr.String(), code
}

var listed = regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)?)  +[A-Z]`)

func TestEachCommandHasHelp(t *testing.T) {
	all, _, _ := run(t, "--help")
	commands := listed.FindAllStringSubmatch(all, -1)
	if len(commands) < 20 {
		t.Fatalf("%d commands in\n%s", len(commands), all)
	}
	for _, m := range commands {
		out, stderr, code := run(t, append(strings.Fields(m[1]), "--help")...)
		if code != 0 || stderr != "" || !strings.HasPrefix(out, "Usage: weir "+m[1]) || !strings.Contains(out, "-c, --config=FILE") {
			t.Errorf("weir %s --help: exit %d\n%s%s", m[1], code, out, stderr)
		}
		for line := range strings.Lines(out) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 125 {
				t.Errorf("weir %s --help has a line of %d characters", m[1], n)
			}
		}
	}
}
