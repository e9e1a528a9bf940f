package conformance

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// Options say what is examined.
type Options struct {
	// Target is the DSN of the gateway; Direct that of the database behind it, for a
	// user who may make a schema there.
	Target, Direct string
	// Twin and TwinDirect are the same for a second database, where there is one:
	// without them the first is seeded anew in between.
	Twin, TwinDirect string
	// Password is asked for the password of each connection to the gateway; nil takes that
	// of the DSN. Tokens may end before a run does.
	Password func(context.Context) (string, error)
	// Scheme is what the schema is made of; nil is that of the corpus.
	Scheme *Scheme
	// Settle is how long the target may take to see the scratch schema; 0 is 35 s.
	Settle time.Duration
	// Schema is the name of the scratch schema.
	Schema string
	// Masked are the columns, of Protected, that the gateway masks; nil are all.
	Masked []string
	// Brief sends a shape that only reads in two forms in place of all: as a Query, and
	// in one of the others, which differs from shape to shape.
	Brief bool
	// Progress is told after each shape, of twins on the left side only; nil is silent.
	Progress func(side Side, done, of int)
}

// Check finds what is wrong with options without connecting anywhere.
func (o *Options) Check() error {
	var errs []error
	for _, one := range []struct{ name, dsn string }{
		{"target", o.Target}, {"direct", o.Direct}, {"twin", o.Twin}, {"twin-direct", o.TwinDirect},
	} {
		if one.dsn == "" {
			continue
		}
		if _, err := pgconn.ParseConfig(one.dsn); err != nil { // leaves the password out
			errs = append(errs, fmt.Errorf("--%s is no DSN such as postgres://user:password@host:port/database: %w", one.name, err))
		}
	}
	for _, column := range o.Masked {
		if !slices.Contains(protectedNames(), column) {
			errs = append(errs, fmt.Errorf("--masked %s: the kit protects no such column, but %s", column, strings.Join(Protected, ", ")))
		}
	}
	if (o.Twin == "") != (o.TwinDirect == "") {
		errs = append(errs, errors.New("--twin and --twin-direct go together"))
	}
	return errors.Join(errs...)
}

// Finding is what one shape in one form has shown.
type Finding struct {
	Shape   *Shape  `json:"-"`
	ID      string  `json:"shape"`
	Via     string  `json:"via"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	SQL     string  `json:"sql,omitempty"`
	// Code is the SQLSTATE of the first error, "" where there was none.
	Code string `json:"code,omitempty"`
}

// Run plays shapes on both sides and judges what comes back. Where it fails on the way
// or ctx ends, the findings are those of what was played until then.
func Run(ctx context.Context, o Options, shapes []Shape) (findings []Finding, err error) {
	if o.Target == "" || o.Direct == "" {
		return nil, errNoSide
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Scheme == nil {
		o.Scheme = fixed()
	}
	if o.Twin != "" {
		return runTwins(ctx, &o, shapes)
	}
	var right []played
	left, err := playAll(ctx, &o, Left, o.Target, o.Direct, shapes)
	if err == nil {
		right, err = playAll(ctx, &o, Right, o.Target, o.Direct, shapes)
	}
	return compare(shapes, left, right, &o), err
}

// runTwins plays the sides at once.
func runTwins(ctx context.Context, o *Options, shapes []Shape) ([]Finding, error) {
	var left, right []played
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		left, err = playAll(ctx, o, Left, o.Target, o.Direct, shapes)
		return err
	})
	g.Go(func() (err error) {
		silent := *o
		silent.Progress = nil
		right, err = playAll(ctx, &silent, Right, o.Twin, o.TwinDirect, shapes)
		return err
	})
	err := g.Wait()
	return compare(shapes, left, right, o), err
}

// played is a shape in one form, and what came back.
type played struct {
	shape  int
	via    string
	answer *answer
	direct *answer // of a benign shape, past the gateway
}

// patience is after how many statements in a row without an answer a target is given up.
const patience = 5

// playAll plays all shapes on one side. With an error comes what was played before.
func playAll(ctx context.Context, o *Options, side Side, target, direct string, shapes []Shape) (all []played, err error) {
	w, err := newWorld(ctx, direct, o, side)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	through, past := &player{target: target, password: o.Password, world: w}, &player{target: direct, world: w}
	defer through.hangUp()
	defer past.hangUp()
	if err := through.control(ctx, o.Settle); err != nil {
		return nil, err
	}
	silent := 0
	for i := range shapes {
		for _, via := range o.vias(shapes, i) {
			p := played{shape: i, via: via}
			if p.answer, err = through.play(ctx, &shapes[i], via); err != nil {
				return all, fmt.Errorf("%s, %s: %w", shapes[i].ID(), via, err)
			}
			if silent++; !p.answer.silent() {
				silent = 0
			}
			if silent == patience {
				return all, fmt.Errorf("%s, %s: the target has given no answer %d times in a row, each within %s", shapes[i].ID(), via, patience, answerWithin)
			}
			if shapes[i].Benign {
				if p.direct, err = past.play(ctx, &shapes[i], via); err != nil {
					return all, fmt.Errorf("%s, %s, past the gateway: %w", shapes[i].ID(), via, err)
				}
			}
			all = append(all, p)
		}
		if o.Progress != nil {
			o.Progress(side, i+1, len(shapes))
		}
	}
	return all, nil
}

// compare judges what was played on both sides, or on the left only.
func compare(shapes []Shape, left, right []played, o *Options) []Finding {
	if len(left) == 0 {
		return nil
	}
	look := newSearcher(o.Scheme.side(Left, o.Masked), o.Masked)
	findings := make([]Finding, len(left))
	for i := range left {
		s := &shapes[left[i].shape]
		f := Finding{Shape: s, ID: s.ID(), Via: left[i].via, Code: left[i].answer.code()}
		var other *answer
		if i < len(right) {
			other = right[i].answer
		}
		f.Verdict, f.Why = judge(s, look.search(left[i].answer.messages), left[i].answer, other, left[i].direct)
		if f.Verdict.Bad() {
			f.SQL = s.text()
		}
		findings[i] = f
	}
	return findings
}

// vias are the forms in which shape i is sent.
func (o *Options) vias(shapes []Shape, i int) []string {
	all := shapes[i].Via
	if !o.Brief || len(all) <= 2 || !shapes[i].plain() {
		return all
	}
	other := crc32.ChecksumIEEE([]byte(shapes[i].ID())) % uint32(len(all)-1) //nolint:gosec // a handful
	return []string{all[0], all[1+other]}
}
