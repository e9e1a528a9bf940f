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

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
)

// profiled is a CPU profile of weir while a workload ran.
type profiled struct {
	title string
	file  string // within .weir
	*breakdown
	perOp float64 // microseconds of CPU a statement
}

// profileSeconds is how long a profile is taken.
const profileSeconds = 8

// profileAll takes profiles after the rounds, so that taking them costs no
// result anything. One that cannot be taken becomes a note.
func profileAll(ctx context.Context, r *rig) []profiled {
	var all []profiled
	for _, p := range []struct {
		name, title string
		script      script
	}{
		{"select-40", "40 clients, `pgbench -S -M prepared`", script{builtin: true, mode: "prepared", clients: 40}},
		{"wide-masked", "1,000 rows x 8 columns, 2 masked, 1 client", script{text: "SELECT * FROM wide_masked;\n", mode: "prepared", clients: 1, bytes: 1}},
		{"simple-new", "statement texts never seen before, 1 client", script{text: fresh(simpleText), mode: "simple", clients: 1}},
	} {
		if !r.options.only.MatchString(p.name) {
			continue
		}
		r.say("Profile: %s", p.name)
		got, err := r.profile(ctx, p.name, p.script)
		if err != nil {
			r.note("There is no profile of %s: %v.", p.name, err)
			continue
		}
		got.title = p.title
		all = append(all, got)
	}
	return all
}

// profile runs a script on the buffered target, and takes a profile of weir in
// the middle of it.
func (r *rig) profile(ctx context.Context, name string, s script) (profiled, error) {
	seconds := float64(profileSeconds)
	if r.options.quick {
		seconds = 2
	}
	var target *route
	for _, t := range r.routes {
		if t.id == routeBuffered {
			target = t
		}
	}
	pid := r.stage.Gateway().Pid()
	before, ended := usageOf(pid), make(chan error, 1)
	var o outcome
	go func() {
		var err error
		o, err = bench(s)(ctx, r, target, seconds+2)
		ended <- err
	}()
	root, err := parts.Root()
	if err != nil {
		return profiled{}, err
	}
	p := profiled{file: filepath.Join("profiles", name+".prof")}
	err = r.fetchProfile(ctx, int(seconds), filepath.Join(root, p.file))
	if err = errors.Join(<-ended, err); err != nil {
		return p, err
	}
	p.perOp = float64(usageOf(pid).since(before).cpu.Microseconds()) / o.ops
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", filepath.Join(root, p.file)).Output()
	if err != nil {
		return p, fmt.Errorf("go tool pprof: %w", err)
	}
	p.breakdown, err = breakDown(string(text))
	return p, err
}

// fetchProfile asks the gateway over its admin socket.
func (r *rig) fetchProfile(ctx context.Context, seconds int, file string) error {
	cfg, err := config.Load(r.stage.ConfigFile())
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", app.AdminSocket(cfg))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://weir/debug/pprof/profile?seconds=%d", seconds), nil)
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
