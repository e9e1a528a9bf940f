package conformance

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"

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

// Finding is what one shape in one form has shown.
type Finding struct {
	Shape   *Shape  `json:"-"`
	ID      string  `json:"shape"`
	Via     string  `json:"via"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	SQL     string  `json:"sql,omitempty"`
}

// Run plays shapes on both sides and judges what comes back.
func Run(ctx context.Context, o Options, shapes []Shape) (findings []Finding, err error) {
	if o.Target == "" || o.Direct == "" {
		return nil, errNoSide
	}
	if o.Twin != "" {
		return runTwins(ctx, &o, shapes)
	}
	left, err := playAll(ctx, &o, Left, o.Target, o.Direct, shapes)
	if err != nil {
		return nil, err
	}
	right, err := playAll(ctx, &o, Right, o.Target, o.Direct, shapes)
	if err != nil {
		return nil, err
	}
	return compare(shapes, left, right, &o), nil
}

// runTwins plays the sides at once.
func runTwins(ctx context.Context, o *Options, shapes []Shape) ([]Finding, error) {
	var left, right []played
	var g errgroup.Group
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
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return compare(shapes, left, right, o), nil
}

// played is a shape in one form, and what came back.
type played struct {
	shape  int
	via    string
	answer *answer
	direct *answer // of a benign shape, past the gateway
}

// playAll plays all shapes on one side.
func playAll(ctx context.Context, o *Options, side Side, target, direct string, shapes []Shape) (all []played, err error) {
	w, err := newWorld(ctx, direct, o.Schema, side)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	through, past := &player{target: target, world: w}, &player{target: direct, world: w}
	defer through.hangUp()
	defer past.hangUp()
	through.refresh(ctx)
	for i := range shapes {
		for _, via := range o.vias(shapes, i) {
			p := played{shape: i, via: via}
			if p.answer, err = through.play(ctx, &shapes[i], via); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", shapes[i].ID(), via, err)
			}
			if shapes[i].Benign {
				if p.direct, err = past.play(ctx, &shapes[i], via); err != nil {
					return nil, fmt.Errorf("%s, %s, past the gateway: %w", shapes[i].ID(), via, err)
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

func compare(shapes []Shape, left, right []played, o *Options) []Finding {
	look := newSearcher(newValues(Left), o.Masked)
	findings := make([]Finding, len(left))
	for i := range left {
		s := &shapes[left[i].shape]
		f := Finding{Shape: s, ID: s.ID(), Via: left[i].via}
		f.Verdict, f.Why = judge(s, look.search(left[i].answer.messages), left[i].answer, right[i].answer, left[i].direct)
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
