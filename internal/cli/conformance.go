package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/internal/conformance"
)

type conformanceCmd struct {
	output
	Target         string        `placeholder:"DSN" env:"WEIR_CONFORMANCE_TARGET" help:"The gateway, as its client reaches it."`
	Direct         string        `placeholder:"DSN" env:"WEIR_CONFORMANCE_DIRECT" help:"The database behind it, for a user who may make a schema there; the target by default."`
	Twin           string        `placeholder:"DSN" env:"WEIR_CONFORMANCE_TWIN" help:"The gateway in front of a second database: both are played at once."`
	TwinDirect     string        `placeholder:"DSN" env:"WEIR_CONFORMANCE_TWIN_DIRECT" help:"The second database."`
	PasswordFrom   string        `placeholder:"COMMAND" help:"What prints the gateway's password, such as 'weir token': run again as tokens end."`
	Schema         string        `default:"weir_conformance" placeholder:"NAME" help:"Scratch schema: made, and dropped at the end."`
	Masked         []string      `placeholder:"COLUMN" help:"Columns that the gateway masks (people.ssn,…); all protected ones by default."`
	Corpus         string        `placeholder:"DIR" type:"existingdir" help:"Folder of shapes in place of the ones that come with weir."`
	Family         []string      `placeholder:"NAME" help:"Only these families."`
	Random         int           `placeholder:"N" help:"In place of the corpus, N random statements."`
	Seed           uint64        `placeholder:"N" help:"What the random statements are made from; printed, and a new one by default."`
	Number         int           `default:"-1" placeholder:"N" help:"Only this one of the random statements."`
	For            time.Duration `placeholder:"DURATION" help:"With --random: further seeds until something bad is found or this time is over."`
	Brief          bool          `help:"Two forms of each shape in place of all."`
	Classification bool          `help:"Print the protected columns as a classification, and do nothing else."`
	Compare        []string      `placeholder:"FILE" help:"Compare reports that were written with -o json, and do nothing else."`
}

// Help implements kong.HelpProvider.
func (*conformanceCmd) Help() string {
	return `Sends statements that try to get at masked values in every form that the protocol has, twice with different values,
and looks at every byte that comes back. Works with any gateway. Give the DSNs of a database where it may do harm.
A DSN on the command line can be seen by others on this machine: the variables and PGPASSFILE cannot.

Verdicts: masked, refused, same (good); changed, broken, oracle, derived, leak (bad).
Exit code: 0 nothing bad was found, 1 something was, 2 it could not be run (to the end).

Examples:
  weir conformance --classification > canaries.yaml        what the gateway has to mask
  weir conformance --target "$GATEWAY" --direct "$DATABASE"
  weir conformance --target "$GATEWAY" --direct "$DATABASE" --family oracles,writes -o json > ours.json
  weir conformance --compare ours.json,theirs.json
  weir conformance --target "$DATABASE" --brief            without a gateway: what there is to be kept
  weir conformance --target "$GATEWAY" --direct "$DATABASE" --random 200 --for 1h`
}

// Run implements the command.
func (c *conformanceCmd) Run(e *env) error {
	switch {
	case c.Classification:
		e.printf("%s", conformance.Classification("*", c.Schema, "canary"))
		return nil
	case len(c.Compare) > 0:
		return c.compare(e)
	}
	o, err := c.options(e)
	if err != nil {
		return notRun{err}
	}
	report, findings, err := c.play(e, o)
	if err != nil && len(findings) == 0 {
		return notRun{err}
	}
	if printed := c.print(e, report, findings); printed != nil {
		return printed
	}
	if err != nil {
		return notRun{err}
	}
	if bad := conformance.Bad(findings); len(bad) > 0 {
		c.shorten(e, o, bad[0])
		return reported{fmt.Errorf("%d findings", len(bad))}
	}
	return nil
}

func (c *conformanceCmd) options(e *env) (conformance.Options, error) {
	o := conformance.Options{
		Target: c.Target, Direct: c.Direct, Twin: c.Twin, TwinDirect: c.TwinDirect, Schema: c.Schema, Masked: c.Masked, Brief: c.Brief,
		Progress: progress(e),
	}
	if c.PasswordFrom != "" {
		o.Password = (&printed{command: c.PasswordFrom}).get
	}
	if o.Direct == "" {
		o.Direct = o.Target
	}
	switch {
	case c.Target == "":
		return o, errors.New("which gateway? Name it with --target or WEIR_CONFORMANCE_TARGET")
	case c.Random == 0 && (c.For > 0 || c.Seed > 0):
		return o, errors.New("--for and --seed are of random statements: say how many at once, as --random 200")
	case c.Random > 0 && (c.Corpus != "" || len(c.Family) > 0):
		return o, errors.New("--random is in place of the corpus: without --corpus and --family")
	}
	return o, o.Check()
}

// play runs the corpus, or random statements until the time is over.
func (c *conformanceCmd) play(e *env, o conformance.Options) (conformance.Report, []conformance.Finding, error) {
	r := conformance.Report{Target: place(c.Target), Version: Version}
	var all []conformance.Finding
	for end := time.Now().Add(c.For); ; c.Seed++ {
		shapes, err := c.shapes(e, &o)
		if err != nil {
			return r, all, err
		}
		if c.Random > 0 {
			r.Seeds = append(r.Seeds, c.Seed)
		}
		findings, err := conformance.Run(e.ctx, o, shapes)
		all = append(all, findings...)
		if errors.Is(err, context.Canceled) {
			return r, all, fmt.Errorf("interrupted: not all was played (%w)", err)
		}
		if err != nil || c.Random == 0 || len(conformance.Bad(findings)) > 0 || !time.Now().Before(end) {
			r.Complete = err == nil
			return r, all, err
		}
	}
}

// printed is a password that a command prints.
type printed struct {
	command string
	mu      sync.Mutex
	text    string
	at      time.Time
}

// get runs the command again after a while: it may be asked hundreds of times a minute.
func (p *printed) get(ctx context.Context) (string, error) {
	const lasts = time.Minute
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != "" && time.Since(p.at) < lasts {
		return p.text, nil
	}
	out, err := exec.CommandContext(ctx, "sh", "-c", p.command).Output() //nolint:gosec // the user's own
	if err != nil {
		return "", fmt.Errorf("--password-from %s: %w", p.command, err)
	}
	p.text, p.at = strings.TrimSpace(string(out)), time.Now()
	return p.text, nil
}

// shorten says a random statement that shows something as short as it can be.
func (c *conformanceCmd) shorten(e *env, o conformance.Options, f conformance.Finding) {
	var seed uint64
	var number int
	if _, err := fmt.Sscanf(f.ID, "random/seed %d, number %d", &seed, &number); err != nil {
		return // one of the corpus
	}
	short, err := conformance.Shorten(e.ctx, o, seed, number)
	if err != nil {
		_, _ = fmt.Fprintf(e.Err, "shortening %s: %v\n", f.ID, err)
		return
	}
	_, _ = fmt.Fprintf(e.Err, "\n%s, shortened (again with --random 1 --seed %d --number %d):\n  %s\n", f.ID, seed, number, strings.Join(short.SQL, ";\n  "))
}

// place is where a DSN leads, without who.
func place(dsn string) string {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s:%d/%s", cfg.Host, cfg.Port, cfg.Database)
}

// progress says how far it is: on a terminal in one line that changes, elsewhere now
// and then.
func progress(e *env) func(conformance.Side, int, int) {
	last := time.Now()
	file, ok := e.Err.(*os.File)
	terminal := false
	if ok {
		info, err := file.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return func(side conformance.Side, done, of int) {
		const often, seldom = 200 * time.Millisecond, 10 * time.Second
		begin, end, every := "", "\n", seldom
		if terminal {
			begin, end, every = "\r", "", often
		}
		if done == of {
			end = "\n"
		} else if time.Since(last) < every {
			return
		}
		last = time.Now()
		_, _ = fmt.Fprintf(e.Err, "%sside %d of 2: %d of %d shapes%s", begin, side+1, done, of, end)
	}
}

func (c *conformanceCmd) shapes(e *env, o *conformance.Options) ([]conformance.Shape, error) {
	if c.Random > 0 {
		if c.Seed == 0 {
			c.Seed = rand.Uint64N(1 << 32) //nolint:gosec // no secret
		}
		_, _ = fmt.Fprintf(e.Err, "random statements of --seed %d\n", c.Seed)
		var shapes []conformance.Shape
		o.Scheme, shapes = conformance.Random(c.Seed, max(c.Random, c.Number+1))
		if c.Number >= 0 {
			shapes = shapes[c.Number : c.Number+1]
		}
		return shapes, nil
	}
	all, err := conformance.Corpus()
	if c.Corpus != "" {
		all, err = conformance.ReadCorpus(os.DirFS(c.Corpus))
	}
	if err != nil || len(c.Family) == 0 {
		return all, err
	}
	var families []string
	for i := range all {
		families = append(families, all[i].Family)
	}
	for _, name := range c.Family {
		if !slices.Contains(families, name) {
			return nil, fmt.Errorf("no shape is of family %s, but of %s", name, strings.Join(slices.Compact(families), ", "))
		}
	}
	return slices.DeleteFunc(all, func(s conformance.Shape) bool { return !slices.Contains(c.Family, s.Family) }), nil
}
