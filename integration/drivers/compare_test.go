package drivers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// difference is what may differ between the two sides, and why.
type difference struct {
	why string
	// what is a regular expression of what is seen directly, and through the gateway
	// too where through is empty. What it matches is replaced by why.
	what    string
	through string
}

// on is the expression of one side.
func (d *difference) on(s *side) string {
	if s.name == "through" && d.through != "" {
		return d.through
	}
	return d.what
}

// same compares what was seen on the two sides. Every allowed difference must be
// there, on each side as it is declared for it: one that is not needed any more is to be removed.
func same(t *testing.T, sides []side, seen []string, allowed ...difference) {
	t.Helper()
	text := make([]string, len(seen))
	for i := range seen {
		text[i] = strings.NewReplacer(sides[i].port, "<port>", sides[i].ca, "<ca>", sides[i].password, "<password>").Replace(seen[i])
	}
	for _, d := range allowed {
		for i := range text {
			what := regexp.MustCompile(d.on(&sides[i]))
			if !what.MatchString(text[i]) {
				t.Errorf("an allowed difference was not met %s: %s (%s)", sides[i].name, d.why, what)
			}
			text[i] = what.ReplaceAllLiteralString(text[i], "<"+d.why+">")
		}
	}
	if diff := cmp.Diff(strings.Split(text[0], "\n"), strings.Split(text[1], "\n")); diff != "" {
		t.Errorf("the gateway can be told from the server (-%s +%s):\n%s", sides[0].name, sides[1].name, diff)
	}
	if strings.TrimSpace(text[0]) == "" {
		t.Error("nothing was seen")
	}
}

// sameProgram runs a program on both sides at once, and compares all that it prints
// and its exit code, which it returns. The command's environment is extended by that of the side, and
// by SIDE, the side's name.
func sameProgram(t *testing.T, sides []side, command func(context.Context, *side) *exec.Cmd, allowed ...difference) []string {
	t.Helper()
	seen := make([]string, len(sides))
	each(t, sides, func(ctx context.Context, one *side) error {
		var err error
		seen[one.index()], err = output(command(ctx, one), one)
		return err
	})
	same(t, sides, seen, allowed...)
	return seen
}

func (s *side) index() int {
	if s.name == "direct" {
		return 0
	}
	return 1
}

// output runs a program on one side. That it fails is part of what it says.
func output(cmd *exec.Cmd, one *side) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Env = append(all.stage.Env(one.env()...), append(cmd.Env, "SIDE="+one.name)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &complaint, time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	return fmt.Sprintf("%s\n--- stderr\n%s\n--- exit %d", out.String(), complaint.String(), cmd.ProcessState.ExitCode()), nil
}
