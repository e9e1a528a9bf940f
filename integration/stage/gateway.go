package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/weir-gateway/weir/integration/process"
)

// readyWithin is how long the gateway may take to start, its embedded
// ClickHouse and the analyser on a slow machine included.
const readyWithin = 90 * time.Second

// stopWithin is how long it may take to end.
const stopWithin = 10 * time.Second

// StartGateway runs `weir up` and waits until it is ready.
func (s *Stage) StartGateway(ctx context.Context) error {
	s.say("starting weir up")
	log, err := os.OpenFile(s.Path("weir.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.gateway, err = process.Start(process.Command{Path: s.weir, Args: []string{"up", "-c", s.ConfigFile()}, Env: s.Env(), Output: log, DeathSignal: syscall.SIGTERM})
	if err != nil {
		return err
	}
	return s.waitReady(ctx)
}

func (s *Stage) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.Ready(ctx) {
			return nil
		}
		select {
		case <-s.gateway.Done():
			return fmt.Errorf("weir up ended: %w\n%s", s.gateway.Err(), s.GatewayLog())
		case <-ctx.Done():
			return fmt.Errorf("weir up is not ready: %w\n%s", ctx.Err(), s.GatewayLog())
		case <-tick.C:
		}
	}
}

// Ready asks /readyz.
func (s *Stage) Ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Settings.Web+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Gateway is the running gateway, nil if there is none.
func (s *Stage) Gateway() *process.Process { return s.gateway }

// StopGateway ends it as Ctrl-C does.
func (s *Stage) StopGateway() error {
	if s.gateway == nil {
		return nil
	}
	g := s.gateway
	s.gateway = nil
	return g.Stop(syscall.SIGINT, stopWithin)
}

// GatewayLog is the end of what it logged.
func (s *Stage) GatewayLog() string {
	const most = 8 << 10
	text, err := os.ReadFile(s.Path("weir.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// Env is the environment of the stage's commands: weir finds the programs that
// were set up for it, and keeps no token of another stage.
func (s *Stage) Env(more ...string) []string {
	env := os.Environ()
	kept := env[:0:0]
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "WEIR_") {
			kept = append(kept, e)
		}
	}
	kept = append(kept, "WEIR_ENVOY="+s.Parts.Envoy, "WEIR_LIBCHDB="+s.Parts.LibCHDB)
	return append(kept, more...)
}

// Weir runs a command of the gateway's and returns what it printed.
func (s *Stage) Weir(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	return s.Run(ctx, stdin, s.Env(), s.weir, append(args[:len(args):len(args)], "-c", s.ConfigFile())...)
}

// Run runs a program and returns what it printed, on both streams.
func (s *Stage) Run(ctx context.Context, stdin io.Reader, env []string, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Env, cmd.Dir = stdin, env, s.Dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("exit %d", exit.ExitCode())
	}
	return string(out), err
}
