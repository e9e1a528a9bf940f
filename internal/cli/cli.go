// Package cli is weir's command line: what each command takes, prints and
// returns. The work is done by the packages that it calls.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weir-gateway/weir/internal/config"
)

// Version is stamped at build time.
var Version = "dev"

// The exit codes.
const (
	exitOK    = 0
	exitError = 1 // the command failed, or found something
	exitUsage = 2 // the command line is wrong; of a test that finds things, it could not be run
)

// Streams are what a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// root is the whole grammar.
type root struct {
	Config string `short:"c" placeholder:"FILE" env:"WEIR_CONFIG" default:"weir.yaml" help:"Configuration file."`

	Up        upCmd          `cmd:"" group:"run" help:"Run everything on this machine: Envoy, ClickHouse and the log as children."`
	Serve     serveCmd       `cmd:"" group:"run" help:"Run the gateway; Envoy, ClickHouse and NATS run elsewhere."`
	Validate  validateCmd    `cmd:"" group:"run" help:"Check the configuration file and say every mistake."`
	ConfigCmd configCmd      `cmd:"" group:"run" name:"config" help:"Show the resolved configuration, or its JSON Schema."`
	Status    statusCmd      `cmd:"" group:"run" help:"Show how a running gateway is."`
	Envoy     envoyCmd       `cmd:"" group:"run" help:"The bootstrap of an Envoy that runs elsewhere."`
	CA        caCmd          `cmd:"" group:"run" name:"ca" help:"Print the certificate of the development CA."`
	Secret    secretCmd      `cmd:"" group:"run" help:"Keep secrets in the sealed file."`
	Token     tokenCmd       `cmd:"" group:"use" help:"Get a token and print it, and nothing else."`
	Approvals approvalsCmd   `cmd:"" group:"use" help:"Held operations: list, show, approve, deny."`
	Sessions  sessionsCmd    `cmd:"" group:"audit" help:"Recorded sessions: list, show."`
	Replay    replayCmd      `cmd:"" group:"audit" help:"Print a session as it happened."`
	Policy    policyCmd      `cmd:"" group:"policy" help:"Check, test and try the rules."`
	Classify  classifyCmd    `cmd:"" group:"policy" help:"Propose what is sensitive at a target, with evidence; --check for CI."`
	Conform   conformanceCmd `cmd:"" group:"audit" name:"conformance" help:"Try to get at what a gateway masks, in hundreds of ways."`
	VersionC  versionCmd     `cmd:"" name:"version" help:"Print the version."`
	Engine    engineCmd      `cmd:"" hidden:"" help:"The embedded ClickHouse; started by weir itself."`
}

// env is what every command is given.
type env struct {
	Streams
	ctx    context.Context
	config string
}

func (e *env) printf(format string, args ...any) { _, _ = fmt.Fprintf(e.Out, format, args...) }

const about = `weir is an access gateway for AI agents: each statement and request is decided by policy, masked, held or blocked, and recorded.

Examples:
  weir up -c weir.yaml                      run everything on this machine
  weir validate -c weir.yaml                check the configuration
  PGPASSWORD=$(weir token) psql "host=localhost port=15432 dbname=shop user=agent sslmode=verify-full sslrootcert=ca.crt"
  weir approvals approve 0190… --reason "ticket 42"
  weir replay 0190…                         what happened in a session`

// Main runs one command and returns its exit code.
func Main(ctx context.Context, args []string, s Streams) int {
	var g root
	code := -1
	parser, err := kong.New(&g,
		kong.Name("weir"), kong.Description(about), kong.UsageOnError(),
		kong.Writers(s.Out, s.Err), kong.Exit(func(c int) { code = c }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "run", Title: "Run the gateway:"}, {Key: "use", Title: "Use it:"},
			{Key: "audit", Title: "Audit it:"}, {Key: "policy", Title: "Write its policy:"},
		}),
		kong.Vars{"state": "pending,approved,denied,expired,withdrawn,all"},
	)
	if err != nil {
		_, _ = fmt.Fprintln(s.Err, "weir: "+err.Error())
		return exitError
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	switch {
	case code >= 0: // --help was printed
		return code
	case err != nil:
		return usage(s.Err, err)
	}
	if err := command.Run(&env{Streams: s, ctx: ctx, config: g.Config}); err != nil {
		return report(s.Err, err)
	}
	return exitOK
}

func usage(w io.Writer, err error) int {
	text := err.Error()
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if path := parse.Context.Model.Name + " " + parse.Context.Command(); path != "" {
			_, _ = fmt.Fprintf(w, "weir: %s\nSee `%s --help`.\n", text, strings.TrimSpace(strings.Split(path, " <")[0]))
			return exitUsage
		}
	}
	_, _ = fmt.Fprintf(w, "weir: %s\nSee `weir --help`.\n", text)
	return exitUsage
}

// reported is an error whose text was printed already.
type reported struct{ error }

// notRun is an error of a test that could not be run: whether it would have found
// something is not known.
type notRun struct{ error }

func (n notRun) Unwrap() error { return n.error }

func report(w io.Writer, err error) int {
	var undone notRun
	if errors.As(err, &undone) {
		_, _ = fmt.Fprintln(w, "weir: "+err.Error())
		return exitUsage
	}
	var done reported
	var mistakes *config.Error
	switch {
	case errors.As(err, &done):
	case errors.As(err, &mistakes) && mistakes.Error() == err.Error(): // each line says its file
		_, _ = fmt.Fprintln(w, err.Error())
	default:
		_, _ = fmt.Fprintln(w, "weir: "+err.Error())
	}
	return exitError
}

type versionCmd struct{}

func (*versionCmd) Run(e *env) error {
	e.printf("weir %s\n", Version)
	return nil
}
