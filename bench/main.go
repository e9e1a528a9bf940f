// Command bench measures what the gateway costs, and writes bench/RESULTS.md:
// the same workloads, in interleaved rounds, straight to PostgreSQL and to an
// HTTP server, through plain Envoy, through the least that Envoy can do with a
// processor, and through weir with everything on. It judges nothing: the
// numbers stand beside the bars, and the exit code says only whether it ran.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/weir-gateway/weir/integration/parts"
)

// options say how long and what.
type options struct {
	quick   bool
	keep    bool
	rounds  int
	seconds float64 // of a workload that runs for a time
	copied  int     // MiB of a COPY
	large   int     // MiB of the COPY that strains memory
	strain  float64 // seconds that a strain lasts which has no end of its own
	churn   int     // connections that come and go
	scale   int     // of pgbench
	only    *regexp.Regexp
	weir    string // program; empty: built
	out     string // file
	dir     string // of everything that runs; removed at the end
}

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the issuer library logs its routes
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == childCommand {
		return runChild(ctx, args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	m, err := describeMachine(ctx)
	if err != nil {
		return err
	}
	rig, err := newRig(ctx, o, out)
	if err != nil {
		return err
	}
	defer func() {
		if err := rig.close(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "bench: ending: "+err.Error())
		}
	}()
	started := time.Now()
	around := others{before: rig.lookForOthers(ctx)}
	results := measure(ctx, rig)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	profiles := profileAll(ctx, rig)
	strained := strainAll(ctx, rig)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	around.after = rig.lookForOthers(ctx)
	r := report{machine: m, options: o, results: results, profiles: profiles, strained: strained, notes: rig.notes, others: around, took: time.Since(started)}
	if err := r.write(o.out); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "written to "+o.out)
	return err
}

func parse(args []string) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "a smoke run of about a minute; its numbers mean little")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with logs and data")
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.Float64Var(&o.seconds, "seconds", 3, "how long a workload runs in one round")
	f.IntVar(&o.copied, "copy", 256, "MiB of a COPY")
	f.IntVar(&o.large, "large", 2048, "MiB of the COPY that strains memory")
	f.Float64Var(&o.strain, "strain", 10, "seconds of a strain that has no end of its own")
	f.IntVar(&o.churn, "churn", 10_000, "connections that come and go")
	f.IntVar(&o.scale, "scale", 10, "pgbench's scale: 100,000 accounts each")
	f.StringVar(&only, "only", "", "measure only workloads whose name matches this expression")
	f.StringVar(&o.weir, "weir", "", "the gateway's program (default: built from this tree)")
	f.StringVar(&o.dir, "dir", "", "where the folder bench of everything that runs is made anew (default .weir); two runs at a time need two")
	f.StringVar(&o.out, "out", "", "file for the results (default bench/RESULTS.md; with -quick or -only .weir/bench-RESULTS.md)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	set := map[string]bool{}
	f.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if o.quick {
		quicken(&o, set)
	}
	if f.NArg() > 0 || o.rounds < 1 || o.seconds < 0.1 || o.copied < 1 || o.scale < 1 || o.large < 1 || o.strain < 0.1 || o.churn < 4 {
		return o, errors.New("usage: go run ./bench [-quick] [-rounds N] [-seconds S] [-copy MiB] [-large MiB] [-strain S] [-churn N] [-scale N] [-only REGEXP]")
	}
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	root, err := parts.Root()
	if err != nil {
		return o, err
	}
	if o.dir == "" {
		o.dir = root
	}
	o.dir = filepath.Join(o.dir, "bench")
	if o.out == "" {
		o.out = filepath.Join(filepath.Dir(root), "bench", "RESULTS.md")
		if o.quick || only != "" {
			o.out = filepath.Join(root, "bench-RESULTS.md")
		}
	}
	return o, nil
}

// quicken shortens what was not asked for.
func quicken(o *options, set map[string]bool) {
	for name, change := range map[string]func(){
		"rounds":  func() { o.rounds = 1 },
		"seconds": func() { o.seconds = 0.4 },
		"copy":    func() { o.copied = 32 },
		"large":   func() { o.large = 64 },
		"strain":  func() { o.strain = 0.5 },
		"churn":   func() { o.churn = 100 },
		"scale":   func() { o.scale = 1 },
	} {
		if !set[name] {
			change()
		}
	}
}

// command is how the results were made.
func (o options) command() string {
	args := []string{"go run ./bench", fmt.Sprintf("-rounds %d -seconds %g -copy %d -large %d -strain %g -churn %d -scale %d", o.rounds, o.seconds, o.copied, o.large, o.strain, o.churn, o.scale)}
	if only := o.only.String(); only != "" {
		args = append(args, "-only '"+only+"'")
	}
	return strings.Join(args, " ")
}
