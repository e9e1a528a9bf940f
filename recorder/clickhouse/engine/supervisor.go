package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Config says which engine runs where.
type Config struct {
	// Program and Args start the engine: a `clickhouse` program with "local", or
	// our own with the hidden command that calls Serve. The engine's own arguments
	// are added.
	Program string
	Args    []string
	// Dir keeps the data. Nobody else may use it.
	Dir string
	// StopTimeout bounds ending the child. 3 s when 0.
	StopTimeout time.Duration
}

// Supervisor keeps an engine running.
type Supervisor struct {
	cfg          Config
	log          *slog.Logger
	native, http int

	mu   sync.Mutex
	last error // why it ended, nil while it runs
}

// New takes two free ports of the loopback; nothing is started yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Supervisor, error) {
	if cfg.Program == "" || cfg.Dir == "" {
		return nil, errors.New("engine: the program and the folder are required")
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = 3 * time.Second
	}
	s := &Supervisor{cfg: cfg, log: log, last: errors.New("it has not started yet")}
	for _, port := range []*int{&s.native, &s.http} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
		defer func() { _ = l.Close() }()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return s, nil
}

// Address is where its native protocol is served.
func (s *Supervisor) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.native) }

// URL is where its HTTP interface is served.
func (s *Supervisor) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.http) }

// Err says why it is not running, nil while it is.
func (s *Supervisor) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *Supervisor) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
}

// stable is how long a child must have run for its end to count as a new
// trouble.
const stable = 30 * time.Second

// Run keeps the engine running until ctx ends, and then ends it. An error means
// that it could not be started at all.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 200*time.Millisecond, 15*time.Second
	for {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			s.set(errors.New("it was stopped"))
			return nil //nolint:nilerr // it was told to end
		}
		if errors.Is(err, errStart) {
			return err
		}
		s.set(err)
		if time.Since(began) > stable {
			wait.Reset()
		}
		pause := wait.NextBackOff()
		s.log.ErrorContext(ctx, "ClickHouse ended; it is started again", "err", err, "in", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

var errStart = errors.New("ClickHouse could not be started")

// once starts a child and returns when it has ended.
func (s *Supervisor) once(ctx context.Context) error {
	args := slices.Concat(s.cfg.Args, Arguments(s.cfg.Dir, s.native, s.http))
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.cfg.Program, args...)
	cmd.Dir = s.cfg.Dir
	cmd.Env = withoutSecrets(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the parent alone
	hold, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	output, err := s.output()
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	s.log.InfoContext(ctx, "ClickHouse started", "pid", cmd.Process.Pid, "native", s.Address(), "http", s.URL())
	s.set(nil)
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		_ = hold.Close()
		return s.explain(err)
	case <-ctx.Done():
	}
	return s.end(cmd, hold, ended)
}

// withoutSecrets leaves out what opens the sealed secrets.
func withoutSecrets(env []string) []string {
	return slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, "WEIR_SECRETS_") })
}

// end closes the pipe that keeps the engine alive, and kills it if that does not
// do in time. Its tables survive that.
func (s *Supervisor) end(cmd *exec.Cmd, hold io.Closer, ended <-chan struct{}) error {
	_ = hold.Close()
	grace := time.NewTimer(s.cfg.StopTimeout)
	defer grace.Stop()
	select {
	case <-ended:
		return nil
	case <-grace.C:
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-ended
	return nil
}

// outputFile keeps what the child said last.
const outputFile = "engine.log"

func (s *Supervisor) output() (*os.File, error) {
	return os.OpenFile(filepath.Join(filepath.Dir(s.cfg.Dir), outputFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

// explain adds what the child said to why it ended.
func (s *Supervisor) explain(err error) error {
	const most = 400
	text, readErr := os.ReadFile(filepath.Join(filepath.Dir(s.cfg.Dir), outputFile))
	if readErr != nil || len(text) == 0 {
		return fmt.Errorf("it ended: %w", orEnded(err))
	}
	return fmt.Errorf("it ended: %w: %s", orEnded(err), text[max(0, len(text)-most):])
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("by itself")
	}
	return err
}
