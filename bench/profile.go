package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
)

// profiled is a CPU profile of weir while a workload ran.
type profiled struct {
	title string
	*breakdown
	perOp float64 // microseconds of CPU a statement
}

// profileSeconds is how long a profile is taken.
const profileSeconds = 8

// profiledWorkloads are those whose profile is taken.
var profiledWorkloads = []string{"select-40", "wide-masked", "simple-new", "insert", workloadJSON}

// profileAll takes profiles after the rounds, so that taking them costs no
// result anything. One that cannot be taken becomes a note.
func profileAll(ctx context.Context, r *rig) []profiled {
	var all []profiled
	for _, w := range workloads(r.options) {
		if !slices.Contains(profiledWorkloads, w.id) || !r.options.only.MatchString(w.id) {
			continue
		}
		r.say("Profile: %s", w.id)
		got, err := r.profile(ctx, w)
		if err != nil {
			r.note("There is no profile of %s: %v.", w.id, err)
			continue
		}
		all = append(all, got)
	}
	pid := r.stage.Gateway().Pid()
	now, peak := memory(pid)
	r.note("weir's resident memory at the end of the run: %d MiB, and %d MiB at the peak since the last COPY. What its heap holds is in `.weir/profiles/heap.prof`.", now>>20, peak>>20)
	if err := r.fetchProfile(ctx, "heap", "heap"); err != nil {
		r.note("There is no profile of the heap: %v.", err)
	}
	return all
}

// profile runs a workload on the buffered target, and takes a profile of weir in
// the middle of it.
func (r *rig) profile(ctx context.Context, w *workload) (profiled, error) {
	seconds := float64(profileSeconds)
	if r.options.quick {
		seconds = 2
	}
	target := r.routes[slices.IndexFunc(r.routes, func(t *route) bool { return t.id == routeBuffered })]
	if w.prepare != nil {
		if err := w.prepare(ctx, r); err != nil {
			return profiled{}, err
		}
	}
	pid := r.stage.Gateway().Pid()
	before, ended := usageOf(pid), make(chan error, 1)
	var o outcome
	go func() {
		var err error
		o, err = w.run(ctx, r, target, seconds+2)
		ended <- err
	}()
	err := r.fetchProfile(ctx, w.id, fmt.Sprintf("profile?seconds=%d", int(seconds)))
	if err = errors.Join(<-ended, err); err != nil {
		return profiled{}, err
	}
	p := profiled{title: w.title, perOp: float64(usageOf(pid).since(before).cpu.Microseconds()) / o.ops}
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", profileFile(w.id)).Output()
	if err != nil {
		return p, fmt.Errorf("go tool pprof: %w", err)
	}
	p.breakdown, err = breakDown(string(text))
	return p, err
}

// profileFile is where a profile is kept, in the repository's .weir.
func profileFile(name string) string {
	root, err := parts.Root()
	if err != nil {
		root = os.TempDir() // the run would have failed before
	}
	return filepath.Join(root, "profiles", name+".prof")
}

// fetchProfile asks the gateway for a profile, over its admin socket.
func (r *rig) fetchProfile(ctx context.Context, name, query string) error {
	cfg, err := config.Load(r.stage.ConfigFile())
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", app.AdminSocket(cfg))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://weir/debug/pprof/"+query, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the admin socket answered %s", resp.Status)
	}
	file := profileFile(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
