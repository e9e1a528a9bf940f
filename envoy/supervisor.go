package envoy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Config is how Envoy is kept running.
type Config struct {
	// Binary is the program (Find).
	Binary Binary
	// Bootstrap is in YAML (Bootstrap). It needs an admin address.
	Bootstrap []byte
	// Dir is a folder of this Envoy's own, made if need be. It holds the bootstrap
	// and what Envoy tells of itself.
	Dir string
	// Concurrency is the number of worker threads; 0 is one per processor.
	Concurrency int
	// LogLevel is Envoy's own: trace, debug, info, warning, error, critical, off.
	// "warning" when empty.
	LogLevel string
	// Drain is how long connections of a listener that was changed or removed may
	// go on. 10 minutes when 0.
	Drain time.Duration
	// StopTimeout bounds stopping, from the end of Run's context to its return. 5 s
	// when 0. Up to two fifths of it wait for connections to end.
	StopTimeout time.Duration
}

// Supervisor runs Envoy as a child and starts it again when it ends.
type Supervisor struct {
	cfg Config
	log *slog.Logger

	mu     sync.Mutex
	status Status
}

// Status is how the child is doing.
type Status struct {
	Running  bool
	PID      int       // while running
	Since    time.Time // when it was started
	Restarts int
	LastExit string // why it ended the last time, "" if it never did
}

// stable is how long a child must have run for its end to count as a new
// trouble, not as more of the last one.
const stable = 30 * time.Second

// New checks the configuration; nothing is started yet.
func New(cfg Config, log *slog.Logger) (*Supervisor, error) {
	switch {
	case cfg.Binary.Path == "":
		return nil, errors.New("envoy: no program")
	case len(cfg.Bootstrap) == 0:
		return nil, errors.New("envoy: no bootstrap")
	case cfg.Dir == "":
		return nil, errors.New("envoy: no folder")
	}
	if cfg.LogLevel == "" {
		cfg.LogLevel = "warning"
	}
	if cfg.Drain == 0 {
		cfg.Drain = 10 * time.Minute
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = 5 * time.Second
	}
	return &Supervisor{cfg: cfg, log: log}, nil
}

// Run keeps Envoy running until ctx ends, and then stops it. No Envoy is left
// when it returns, nor (on Linux) when this process is killed. An error means
// that Envoy could not be started at all.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return fmt.Errorf("envoy: %w", err)
	}
	raiseFileLimit()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 10*time.Second
	for {
		started := time.Now()
		c, err := s.start()
		if err != nil {
			return fmt.Errorf("envoy: start %s: %w", s.cfg.Binary.Path, err)
		}
		err = s.watch(ctx, c)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if time.Since(started) > stable {
			wait.Reset()
		}
		pause := wait.NextBackOff()
		s.log.Error("envoy ended; it is started again", "err", err, "in", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		s.mu.Lock()
		s.status.Restarts++
		s.mu.Unlock()
	}
}

// watch returns when the child has ended, by itself or because ctx did.
func (s *Supervisor) watch(ctx context.Context, c *child) error {
	s.mu.Lock()
	s.status.Running, s.status.PID, s.status.Since = true, c.pid(), time.Now()
	s.mu.Unlock()
	s.log.Info("envoy started", "pid", c.pid(), "version", s.cfg.Binary.Version)
	var err error
	select {
	case <-c.ended:
		err = c.exit()
	case <-ctx.Done():
		s.stop(context.WithoutCancel(ctx), c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Running, s.status.PID = false, 0
	if err != nil {
		s.status.LastExit = err.Error()
	}
	return err
}

// stop ends the child: no new connections, a while for the old ones, SIGTERM,
// SIGKILL.
func (s *Supervisor) stop(ctx context.Context, c *child) {
	begin := time.Now()
	at := func(fifths int) time.Time { return begin.Add(s.cfg.StopTimeout * time.Duration(fifths) / 5) }
	drainCtx, cancel := context.WithDeadline(ctx, at(2))
	defer cancel()
	s.drain(drainCtx, c)
	c.terminate()
	select {
	case <-c.ended:
	case <-time.After(time.Until(at(4))):
		s.log.Warn("envoy did not stop in time; it is killed", "pid", c.pid())
		c.kill()
		<-c.ended
	}
	s.log.Info("envoy stopped", "in", time.Since(begin).Round(time.Millisecond))
}

// Status says how the child is doing.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Supervisor) prepare() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(s.bootstrapFile(), s.cfg.Bootstrap, 0o600)
}

func (s *Supervisor) bootstrapFile() string { return filepath.Join(s.cfg.Dir, "bootstrap.yaml") }

func (s *Supervisor) adminFile() string { return filepath.Join(s.cfg.Dir, "admin-address") }

// args make a child that many of can run on one machine: hot restart would tie
// them together by shared memory.
func (s *Supervisor) args() []string {
	args := []string{
		"--config-path", s.bootstrapFile(),
		"--admin-address-path", s.adminFile(),
		"--disable-hot-restart",
		"--drain-time-s", strconv.Itoa(max(1, int(s.cfg.Drain.Seconds()))),
		"--drain-strategy", "immediate",
		"--log-level", s.cfg.LogLevel,
		"--log-format", logFormat, "--log-format-escaped", "--log-stacktrace-single-entry",
	}
	if s.cfg.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(s.cfg.Concurrency))
	}
	return args
}
