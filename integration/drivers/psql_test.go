package drivers

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// psql is a psql that reads a script.
func psql(program, script string, args ...string) func(context.Context, *side) *exec.Cmd {
	return func(ctx context.Context, _ *side) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, append([]string{"-X", "-w"}, args...)...)
		cmd.Stdin, cmd.Dir = strings.NewReader(script), all.stage.Dir
		return cmd
	}
}

func TestPsql(t *testing.T) {
	sides := both(t, "")
	sameProgram(t, sides, psql(all.stage.Parts.Psql(), "select current_user, current_database();\n\\conninfo\n"),
		difference{"process id of the server", `Backend PID +\| \d+`},
		difference{"Go and OpenSSL prefer different ciphers", `SSL (Key Bits|Cipher) +\| \w+`})
}
