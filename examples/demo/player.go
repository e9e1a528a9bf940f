package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-gateway/weir/integration/stage"
)

// player runs the commands of the story, shows them, and checks what they print.
type player struct {
	*stage.Stage
	out    io.Writer
	common []string // environment of everybody
	wrong  int
}

// newPlayer puts what everybody needs into the environment, so that the commands
// shown are exactly those that run.
func newPlayer(ctx context.Context, s *stage.Stage, out io.Writer) (*player, error) {
	_, port, err := net.SplitHostPort(s.Settings.DatabaseListen)
	if err != nil {
		return nil, err
	}
	_, apiPort, err := net.SplitHostPort(s.Settings.APIListen)
	if err != nil {
		return nil, err
	}
	// The gateway runs, so its development CA is there: clients trust it.
	ca, err := s.Weir(ctx, nil, "ca")
	if err != nil {
		return nil, fmt.Errorf("weir ca: %w\n%s", err, ca)
	}
	if err := os.WriteFile(s.Path("gateway-ca.crt"), []byte(ca), 0o600); err != nil {
		return nil, err
	}
	bin := filepath.Join(filepath.Dir(s.Dir), "bin")
	return &player{Stage: s, out: out, common: []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "WEIR_CONFIG=" + s.ConfigFile(),
		"PGHOST=localhost", "PGPORT=" + port, "PGDATABASE=shop", "PGUSER=agent", "PGSSLMODE=verify-full",
		"PGSSLROOTCERT=" + s.Path("gateway-ca.crt"), "PSQL_PAGER=cat",
		"CURL_CA_BUNDLE=" + s.Path("gateway-ca.crt"), "API=https://localhost:" + apiPort,
	}}, nil
}

func (p *player) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format, args...) // a broken terminal shows in what is missing
}

// scene begins a part of the story.
func (p *player) scene(title string) { p.say("\n── %s ──\n", title) }

// as runs a shell command as somebody, and shows it with what it prints.
func (p *player) as(ctx context.Context, who, command string) string {
	p.say("\n%s$ %s\n", who, command)
	out := p.quietly(ctx, who, command)
	p.show(out)
	return out
}

// quietly runs a shell command as somebody.
func (p *player) quietly(ctx context.Context, who, command string) string {
	out, err := p.Run(ctx, nil, append(p.EnvOf(who), p.common...), "sh", "-c", command)
	if err != nil {
		out += "(" + err.Error() + ")\n"
	}
	return out
}

func (p *player) show(out string) {
	for line := range strings.Lines(strings.TrimRight(out, "\n") + "\n") {
		p.say("  %s", line)
	}
}

// has checks that an output holds what it should.
func (p *player) has(out string, wants ...string) {
	for _, want := range wants {
		if !strings.Contains(out, want) {
			p.fail("expected %q", want)
		}
	}
}

// lacks checks that an output does not hold what it must not.
func (p *player) lacks(out string, unwanted ...string) {
	for _, u := range unwanted {
		if strings.Contains(out, u) {
			p.fail("did not expect %q", u)
		}
	}
}

func (p *player) fail(format string, args ...any) {
	p.wrong++
	p.say("  ✗ %s\n", fmt.Sprintf(format, args...))
}

// result is the end of the story.
func (p *player) result() error {
	if p.wrong > 0 {
		return fmt.Errorf("%d checks failed; the gateway's log is %s", p.wrong, p.Path("weir.log"))
	}
	p.say("\nEverything went as it should. `make up` leaves it all running for you to try.\n")
	return nil
}

// invite says what to type while everything runs.
func (p *player) invite() {
	p.say(`
Everything runs until Ctrl-C. In another terminal, be the agent:

  export %s
  export WEIR_ISSUER=%s WEIR_CLIENT_ID=%s WEIR_CLIENT_SECRET='%s'

  PGPASSWORD=$(weir token) psql -c 'select * from customers limit 3'
  curl -H "Authorization: Bearer $(weir token)" "$API/customers?limit=2"
  weir status
  weir sessions list

A person who approves signs in by device code, as %s with the password '%s':

  WEIR_CLIENT_ID=weir-cli WEIR_CLIENT_SECRET= weir approvals approve ID --reason "…"
`, strings.Join(quoted(p.common), " \\\n    "), p.Issuer.URL, stage.Agent, stage.Secret(stage.Agent), stage.Approver, stage.Secret(stage.Approver))
}

func quoted(env []string) []string {
	out := make([]string, len(env))
	for i, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if name == "PATH" {
			value, _, _ = strings.Cut(value, string(os.PathListSeparator))
			out[i] = `PATH="` + value + `:$PATH"`
			continue
		}
		out[i] = name + "='" + value + "'"
	}
	return out
}

var errNoApproval = errors.New("no held statement appeared")
