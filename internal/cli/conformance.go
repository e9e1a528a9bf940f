package cli

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/conformance"
)

type conformanceCmd struct {
	output
	Target         string        `placeholder:"DSN" help:"The gateway, as its client reaches it."`
	Direct         string        `placeholder:"DSN" help:"The database behind it, for a user who may make a schema there; the target by default."`
	Twin           string        `placeholder:"DSN" help:"The gateway in front of a second database: both are played at once."`
	TwinDirect     string        `placeholder:"DSN" help:"The second database."`
	Schema         string        `default:"weir_conformance" placeholder:"NAME" help:"Scratch schema: made, and dropped at the end."`
	Masked         []string      `placeholder:"COLUMN" help:"Columns that the gateway masks (people.ssn,…); all protected ones by default."`
	Corpus         string        `placeholder:"DIR" type:"existingdir" help:"Folder of shapes in place of the ones that come with weir."`
	Family         []string      `placeholder:"NAME" help:"Only these families."`
	Random         int           `placeholder:"N" help:"In place of the corpus, N random statements."`
	Seed           uint64        `placeholder:"N" help:"What the random statements are made from; printed, and a new one by default."`
	For            time.Duration `placeholder:"DURATION" help:"With --random: further seeds until something bad is found or this time is over."`
	Brief          bool          `help:"Two forms of each shape in place of all."`
	Classification bool          `help:"Print the protected columns as a classification, and do nothing else."`
}

// Help implements kong.HelpProvider.
func (*conformanceCmd) Help() string {
	return `Sends statements that try to get at masked values in every form that the protocol has, twice with different values,
and looks at every byte that comes back. Works with any gateway. Give the DSNs of a database where it may do harm.

Verdicts: masked, refused, same (good); changed, broken, oracle, derived, leak (bad).
Exit code: 0 nothing bad was found, 1 something was, or the run failed.

Examples:
  weir conformance --classification > canaries.yaml        what the gateway has to mask
  weir conformance --target "$GATEWAY" --direct "$DATABASE"
  weir conformance --target "$GATEWAY" --direct "$DATABASE" --family oracles,writes -o json
  weir conformance --target "$GATEWAY" --direct "$DATABASE" --random 200 --for 1h`
}

// Run implements the command.
func (c *conformanceCmd) Run(e *env) error {
	if c.Classification {
		e.printf("%s", conformance.Classification("*", c.Schema, "canary"))
		return nil
	}
	if c.Target == "" {
		return errors.New("which gateway? Name it with --target")
	}
	shapes, err := c.shapes(e)
	if err != nil {
		return err
	}
	o := conformance.Options{
		Target: c.Target, Direct: c.Direct, Twin: c.Twin, TwinDirect: c.TwinDirect, Schema: c.Schema, Masked: c.Masked, Brief: c.Brief,
		Progress: func(side conformance.Side, done, of int) {
			if done%20 == 0 || done == of {
				_, _ = fmt.Fprintf(e.Err, "\rside %d of 2: %d of %d shapes", side+1, done, of)
			}
			if done == of {
				_, _ = fmt.Fprintln(e.Err)
			}
		},
	}
	if o.Direct == "" {
		o.Direct = o.Target
	}
	if (o.Twin == "") != (o.TwinDirect == "") {
		return errors.New("--twin and --twin-direct go together")
	}
	findings, err := conformance.Run(e.ctx, o, shapes)
	for end := time.Now().Add(c.For); c.Random > 0 && err == nil && len(conformance.Bad(findings)) == 0 && time.Now().Before(end); {
		c.Seed++
		if shapes, err = c.shapes(e); err == nil {
			findings, err = conformance.Run(e.ctx, o, shapes)
		}
	}
	if err != nil {
		return err
	}
	if err := c.print(e, findings); err != nil {
		return err
	}
	if bad := conformance.Bad(findings); len(bad) > 0 {
		return reported{fmt.Errorf("%d findings", len(bad))}
	}
	return nil
}

func (c *conformanceCmd) shapes(e *env) ([]conformance.Shape, error) {
	if c.Random > 0 {
		if c.Seed == 0 {
			c.Seed = rand.Uint64N(1 << 32) //nolint:gosec // no secret
		}
		_, _ = fmt.Fprintf(e.Err, "random statements of --seed %d\n", c.Seed)
		return conformance.Generate(c.Seed, c.Random), nil
	}
	all, err := conformance.Corpus()
	if c.Corpus != "" {
		all, err = conformance.ReadCorpus(os.DirFS(c.Corpus))
	}
	if err != nil || len(c.Family) == 0 {
		return all, err
	}
	all = slices.DeleteFunc(all, func(s conformance.Shape) bool { return !slices.Contains(c.Family, s.Family) })
	if len(all) == 0 {
		return nil, fmt.Errorf("no shape is of family %s", strings.Join(c.Family, ", "))
	}
	return all, nil
}

func (c *conformanceCmd) print(e *env, findings []conformance.Finding) error {
	families, bad := conformance.Table(findings), conformance.Bad(findings)
	if c.json() {
		return writeJSON(e.Out, map[string]any{"families": families, "findings": bad})
	}
	heading := []string{"FAMILY"}
	for _, v := range conformance.Verdicts {
		heading = append(heading, strings.ToUpper(string(v)))
	}
	var rows [][]string
	for _, f := range families {
		row := []string{f.Family}
		for _, v := range conformance.Verdicts {
			row = append(row, fmt.Sprint(f.Count[v]))
		}
		rows = append(rows, row)
	}
	if err := table(e.Out, heading, rows); err != nil || len(bad) == 0 {
		return err
	}
	e.printf("\n")
	rows = nil
	for _, f := range bad {
		rows = append(rows, []string{string(f.Verdict), f.ID, f.Via, f.Why, f.SQL})
	}
	return table(e.Out, []string{"VERDICT", "SHAPE", "SENT AS", "WHAT SHOWED", "STATEMENT"}, rows)
}
