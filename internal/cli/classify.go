package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/classification"
	"github.com/weir-gateway/weir/internal/classify"
	"github.com/weir-gateway/weir/internal/config"
)

type classifyCmd struct {
	Output         string        `short:"o" enum:"text,json,yaml" default:"text" placeholder:"FORMAT" help:"text, json, or yaml: lines for the classification."`
	Target         string        `arg:"" help:"Target, as the configuration names it."`
	Classification string        `placeholder:"FILE" type:"existingfile" help:"The present classification; the one of the configuration by default."`
	Database       string        `placeholder:"NAME" help:"Database; the target's upstream.database by default."`
	Schema         []string      `placeholder:"NAME" help:"Only these schemas."`
	Sample         int           `default:"1000" placeholder:"ROWS" help:"Rows that are looked at in each table."`
	NoSample       bool          `help:"Look at names, types, comments and keys only, at no value."`
	Timeout        time.Duration `default:"10s" help:"The longest that one statement may take at the server."`
	Body           []string      `placeholder:"FILE" help:"For a target of kind http: JSON that it has answered; - is standard input."`
	MinConfidence  string        `enum:"low,medium,high" default:"medium" help:"Leave out what is less sure: ${enum}."`
	Since          string        `placeholder:"FILE" type:"existingfile" help:"Say what has changed since this report (of -o json)."`
	Write          string        `placeholder:"FILE" help:"Add what is not classified to this file; no line of it is changed or removed."`
	Check          bool          `help:"Fail where something is not classified, or a line names no column."`
}

// Help implements kong.HelpProvider.
func (*classifyCmd) Help() string {
	return `Looks at a database's columns, and at a sample of their values, and proposes a classification with the evidence for each guess. No value is ever printed. The database is only read, in short transactions, as the user that the gateway signs in as.

A column that is not sensitive is told so by an empty list (public.t.c: []) and is not proposed again.

Exit code: 0 it worked; 1 it did not, or --check found something; 2 the command line is wrong.

Examples:
  weir classify orders                                    what looks sensitive, and why
  weir classify orders --no-sample                        by names alone
  weir classify orders --write classification.yaml        add it to the file, to be reviewed
  weir classify orders --check                            in CI: fail on a new column that nobody classified
  weir classify orders -o json > monday.json
  weir classify orders --since monday.json                what has changed since Monday
  curl -s "$API/customers" | weir classify customers-api --body -`
}

// Run implements the command.
func (c *classifyCmd) Run(e *env) error {
	cfg, err := config.Load(e.config)
	if err != nil {
		return err
	}
	t, ok := cfg.Targets[c.Target]
	if !ok {
		return fmt.Errorf("the configuration has no target %q", c.Target)
	}
	known, err := loadPresent(c.present(cfg))
	if err != nil {
		return err
	}
	before, err := c.earlier()
	if err != nil {
		return err
	}
	report, err := c.look(e, cfg, t, known)
	if e.ctx.Err() != nil {
		return errors.New("interrupted: nothing was written")
	}
	if err != nil {
		return err
	}
	if before != nil {
		report.Changes = report.Since(before)
	}
	if err := c.print(e, report); err != nil {
		return err
	}
	if c.Write != "" {
		if err := c.write(e, report); err != nil {
			return err
		}
	}
	return c.verdict(e, report)
}

// present is the file of the present classification: of --write, where that is not the
// configuration's own, so that nothing is added twice.
func (c *classifyCmd) present(cfg *config.Config) string {
	if c.Classification != "" {
		return c.Classification
	}
	if c.Write != "" {
		if _, err := os.Stat(c.Write); err == nil {
			return c.Write
		}
	}
	return string(cfg.Policy.Classification)
}

func loadPresent(path string) (classify.Known, error) {
	if path == "" {
		return classification.Empty(), nil
	}
	return classification.Load(path)
}

// earlier reads the report of --since.
func (c *classifyCmd) earlier() (*classify.Report, error) {
	if c.Since == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Since)
	if err != nil {
		return nil, err
	}
	var r classify.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s is no report of weir classify -o json: %w", c.Since, err)
	}
	if r.Target != c.Target {
		return nil, fmt.Errorf("%s is a report about the target %q", c.Since, r.Target)
	}
	return &r, nil
}

func (c *classifyCmd) look(e *env, cfg *config.Config, t *config.Target, known classify.Known) (*classify.Report, error) {
	if t.Kind == config.HTTP {
		return c.bodies(e, known)
	}
	if len(c.Body) > 0 {
		return nil, fmt.Errorf("target %s is a database: --body is for targets of kind http", c.Target)
	}
	o := classify.Options{Target: c.Target, Sample: c.Sample, Timeout: c.Timeout, Schemas: c.Schema, Progress: tablesDone(e.Err)}
	switch {
	case c.NoSample:
		o.Sample = 0
	case c.Sample <= 0:
		return nil, errors.New("--sample is a number of rows; --no-sample looks at none")
	}
	if c.Timeout < time.Millisecond {
		return nil, errors.New("--timeout must be a millisecond at least")
	}
	return app.Classify(e.ctx, cfg, c.Database, known, o)
}

// tablesDone tells a terminal how far it is, and nobody else.
func tablesDone(w io.Writer) func(done, of int) {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return func(done, of int) {
		_, _ = fmt.Fprintf(w, "\r%d of %d tables", done, of)
		if done == of {
			_, _ = fmt.Fprint(w, "\r\033[K")
		}
	}
}

// maxBody bounds a file of documents, in bytes.
const maxBody = 256 << 20

func (c *classifyCmd) bodies(e *env, known classify.Known) (*classify.Report, error) {
	if len(c.Body) == 0 {
		return nil, fmt.Errorf("target %s is of kind http: name files of JSON that it has answered with --body", c.Target)
	}
	var bodies []classify.Body
	for _, name := range c.Body {
		if name == "-" {
			bodies = append(bodies, classify.Body{Name: "standard input", Read: io.LimitReader(e.In, maxBody)})
			continue
		}
		f, err := os.Open(name) // #nosec G304 -- the user names it
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read
		bodies = append(bodies, classify.Body{Name: name, Read: io.LimitReader(f, maxBody)})
	}
	return classify.Bodies(c.Target, bodies, known)
}

func (c *classifyCmd) least() classify.Confidence { return classify.Confidence(c.MinConfidence) }

// write adds the lines to the file, which is replaced whole, so that a running gateway never
// reads half of it.
func (c *classifyCmd) write(e *env, r *classify.Report) error {
	path := c.Write
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := fs.FileMode(0o644)
	before, err := os.ReadFile(path) // #nosec G304 -- the user names it
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	add := r.Lines(c.least())
	merged, err := classification.Merge(c.Write, before, add)
	if errors.Is(err, classification.ErrMerge) {
		return fmt.Errorf("%s: %w (-o yaml prints them)", c.Write, err)
	}
	if err != nil {
		return err
	}
	if bytes.Equal(before, merged) {
		_, _ = fmt.Fprintf(e.Err, "%s is as it was: there is nothing to add\n", c.Write)
		return nil
	}
	if err := replace(path, merged, mode); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.Err, "added %d lines and %d detectors to %s: read them before you trust them\n", len(add.Lines), len(add.Detectors), c.Write)
	return nil
}

func replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".weir-classify-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // where it was not renamed
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// verdict fails where --check finds something.
func (c *classifyCmd) verdict(e *env, r *classify.Report) error {
	if !c.Check {
		return nil
	}
	missing, detectors := len(r.Unclassified(c.least())), len(r.Undetected(c.least()))
	if missing+detectors+len(r.Dead) == 0 {
		return nil
	}
	var what []string
	for _, w := range []struct {
		n    int
		what string
	}{{missing, "look sensitive and are not classified"}, {detectors, "detectors would find something in texts"}, {len(r.Dead), "lines name no column"}} {
		if w.n > 0 {
			what = append(what, fmt.Sprintf("%d %s", w.n, w.what))
		}
	}
	_, _ = fmt.Fprintln(e.Err, "check failed: "+strings.Join(what, ", "))
	return reported{errors.New("check failed")}
}
