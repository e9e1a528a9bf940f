package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weir-gateway/weir/integration/process"
	"github.com/weir-gateway/weir/integration/stage"
)

// rig is everything that is measured, and what stands around it.
type rig struct {
	options  options
	out      io.Writer
	stage    *stage.Stage
	sockets  string   // folder: its path is short, as sockets need it
	folders  []string // others to remove
	ports    ports
	children []*process.Process // in the order of starting
	pids     map[string]int     // of the children, by name
	routes   []*route
	token    string
	notes    []string // what the results must say

	spoolUnknown bool // that was noted
}

// newRig starts all parts. Nothing is left of an earlier run: the gateway's
// store and PostgreSQL's data begin empty.
func newRig(ctx context.Context, o options, out io.Writer) (_ *rig, err error) {
	r := &rig{options: o, out: out, pids: map[string]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := os.RemoveAll(o.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	if r.sockets, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, err
	}
	r.say("Setting up")
	for _, step := range []func(context.Context) error{
		r.build, r.timeFsync, r.findPorts, r.startStage, r.load, r.startUpstream, r.startEnvoys, r.startPgbouncer, r.startGateway, r.makeRoutes, r.checkMasks,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) }

// note keeps something that the results must say.
func (r *rig) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
	r.say("  "+format, args...)
}

// build builds the gateway as `make build` does, unless a program was named.
func (r *rig) build(ctx context.Context) error {
	if r.options.weir != "" {
		var err error
		r.options.weir, err = filepath.Abs(r.options.weir)
		return err
	}
	r.options.weir = filepath.Join(r.options.dir, "weir")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", r.options.weir, "./cmd/weir")
	cmd.Dir = filepath.Dir(filepath.Dir(r.options.dir)) // the repository, above .weir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building weir: %w\n%s", err, out)
	}
	return nil
}

// start starts a part; its output goes to a file of its name.
func (r *rig) start(name string, c process.Command) (*process.Process, error) {
	log, err := os.Create(filepath.Join(r.options.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	c.Output = log
	p, err := process.Start(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.children, r.pids[name] = append(r.children, p), p.Pid()
	return p, nil
}

// serve starts this program as one of its children and waits until it listens.
func (r *rig) serve(ctx context.Context, what, listen, upstream string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := r.start(what, process.Command{Path: self, Args: []string{childCommand, "-listen", listen, "-upstream", upstream, what}})
	if err != nil {
		return err
	}
	return r.await(ctx, what, listen, p)
}

// await waits until a part takes connections.
func (r *rig) await(ctx context.Context, name, address string, p *process.Process) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.Done():
			said, _ := os.ReadFile(filepath.Join(r.options.dir, name+".log"))
			return fmt.Errorf("%s ended: %w\n%s", name, p.Err(), said)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w", name, address, err)
		case <-tick.C:
		}
	}
}

// close ends everything, the last started first.
func (r *rig) close() error {
	var errs []error
	if r.stage != nil {
		errs = append(errs, r.stage.StopGateway())
	}
	for i := len(r.children) - 1; i >= 0; i-- {
		errs = append(errs, r.children[i].Stop(syscall.SIGTERM, 10*time.Second))
	}
	if r.stage != nil {
		errs = append(errs, r.stage.Stop())
	}
	if !r.options.keep {
		r.folders = append(r.folders, r.options.dir)
	}
	for _, dir := range append(r.folders, r.sockets) {
		if dir != "" {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
