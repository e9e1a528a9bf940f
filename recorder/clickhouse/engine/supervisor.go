package engine

import (
	"context"
	"crypto/rand"
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

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cenkalti/backoff/v5"
)

// Config says which engine runs where.
type Config struct {
	// Program and Args start the engine: our own program with the hidden command
	// that calls Serve. The engine's own arguments are added.
	Program string
	Args    []string
	// Fallback, where set, is used instead of Args when the engine of Args never
	// answers: a clickhouse program on PATH may be too old to serve so.
	Fallback []string
	// Dir keeps the data. Nobody else may use it.
	Dir string
	// AuditorViews are the views of database weir that the auditor may read.
	AuditorViews []string
	// MaxMemory bounds the engine's memory in bytes. 2 GiB when 0.
	MaxMemory int64
	// StopTimeout bounds ending the child. 3 s when 0.
	StopTimeout time.Duration
}

// Supervisor keeps an engine running.
type Supervisor struct {
	cfg            Config
	log            *slog.Logger
	owner, auditor string // passwords

	mu           sync.Mutex
	native, http int           // ports
	last         error         // why it does not answer, nil while it does
	ready        chan struct{} // closed while it answers
}

// New takes two free ports of the loopback; nothing is started yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Supervisor, error) {
	if cfg.Program == "" || cfg.Dir == "" {
		return nil, errors.New("engine: the program and the folder are required")
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = 3 * time.Second
	}
	if cfg.MaxMemory == 0 {
		cfg.MaxMemory = 2 << 30
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	cfg.Dir = dir
	s := &Supervisor{
		cfg: cfg, log: log, owner: rand.Text(), auditor: rand.Text(),
		last: errors.New("it has not started yet"), ready: make(chan struct{}),
	}
	if err := s.takePorts(ctx); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return s, nil
}

// takePorts chooses two free ports.
func (s *Supervisor) takePorts(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, port := range []*int{&s.native, &s.http} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func (s *Supervisor) ports() (native, http int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.native, s.http
}

// Address is where its native protocol is served.
func (s *Supervisor) Address() string {
	native, _ := s.ports()
	return fmt.Sprintf("127.0.0.1:%d", native)
}

// URL is where its HTTP interface is served.
func (s *Supervisor) URL() string {
	_, http := s.ports()
	return fmt.Sprintf("http://127.0.0.1:%d", http)
}

// Options are how the owner connects with clickhouse-go. They stay good over
// restarts of the engine.
func (s *Supervisor) Options() *clickhouse.Options {
	return &clickhouse.Options{
		Addr: []string{s.Address()},
		Auth: clickhouse.Auth{Username: Owner, Password: s.owner},
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.Address())
		},
	}
}

// Err says why it does not answer, nil while it does.
func (s *Supervisor) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Ready waits until it answers.
func (s *Supervisor) Ready(ctx context.Context) error {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ClickHouse does not answer: %w", errors.Join(ctx.Err(), s.Err()))
	}
}

func (s *Supervisor) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.last != nil {
		close(s.ready)
	} else if err != nil && s.last == nil {
		s.ready = make(chan struct{})
	}
	s.last = err
}

const (
	// stable is how long a child must have run for its end to count as a new
	// trouble.
	stable = 30 * time.Second
	// answerTime bounds how long a start may take.
	answerTime = time.Minute
	answerStep = 50 * time.Millisecond
)

// Run keeps the engine running until ctx ends, and then ends it. An error means
// that it could not be started at all.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 200*time.Millisecond, 15*time.Second
	which := s.cfg.Args
	for {
		began := time.Now()
		answered, err := s.once(ctx, which)
		if ctx.Err() != nil {
			s.set(errors.New("it was stopped"))
			return nil //nolint:nilerr // it was told to end
		}
		if errors.Is(err, errStart) {
			return err
		}
		s.set(err)
		if !answered && s.cfg.Fallback != nil && !slices.Equal(which, s.cfg.Fallback) {
			s.log.WarnContext(ctx, "this ClickHouse cannot serve here; the library is used instead", "err", err)
			which = s.cfg.Fallback
			continue
		}
		if time.Since(began) > stable {
			wait.Reset()
		}
		if !answered { // the port may have been taken meanwhile
			if err := s.takePorts(ctx); err != nil {
				return fmt.Errorf("engine: %w", err)
			}
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

// once starts a child and returns when it has ended, or when it does not answer
// in time. It says whether it ever answered.
func (s *Supervisor) once(ctx context.Context, which []string) (answered bool, err error) {
	child, err := s.start(ctx, which)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errStart, err)
	}
	if err = s.await(ctx, child); err == nil {
		answered = true
		s.log.InfoContext(ctx, "ClickHouse started", "pid", child.cmd.Process.Pid, "native", s.Address(), "http", s.URL())
		s.set(nil)
		select {
		case <-child.ended:
		case <-ctx.Done():
		}
	}
	select {
	case <-child.ended:
		_ = child.hold.Close()
		return answered, child.explain()
	default:
	}
	return answered, errors.Join(err, s.end(child))
}

// await returns nil when the child answers.
func (s *Supervisor) await(ctx context.Context, c *child) error {
	conn, err := clickhouse.Open(s.Options())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline := time.NewTimer(answerTime)
	defer deadline.Stop()
	for {
		err := conn.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ended:
			return c.explain()
		case <-deadline.C:
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(answerStep):
		}
	}
}

// child is a running engine.
type child struct {
	cmd   *exec.Cmd
	hold  io.Closer // the pipe that keeps it alive
	ended chan struct{}
	err   error  // once ended
	words string // what it said last, once ended
}

func (s *Supervisor) start(ctx context.Context, which []string) (*child, error) {
	args, err := s.writeFiles()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.cfg.Program, slices.Concat(which, args)...)
	cmd.Dir = s.cfg.Dir
	cmd.Env = plain(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the parent alone
	c := &child{cmd: cmd, ended: make(chan struct{})}
	if c.hold, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	said, saying := io.Pipe()
	cmd.Stdout, cmd.Stderr = saying, saying
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	logged := make(chan string, 1)
	go func() { logged <- copyLog(said, s.log) }()
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
		_ = saying.Close()
		c.words = <-logged
	}()
	return c, nil
}

// plain keeps what programs need of an environment. The rest may hold secrets,
// and an engine can be asked for its environment.
func plain(env []string) []string {
	return slices.DeleteFunc(env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return !slices.Contains([]string{"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "GOCOVERDIR"}, name) &&
			!strings.HasPrefix(name, "LC_") && !strings.HasSuffix(name, "_TEST_LIBRARY")
	})
}

// end closes the pipe that keeps the engine alive, and kills it if that does not
// do in time. Its tables survive that.
func (s *Supervisor) end(c *child) error {
	_ = c.hold.Close()
	grace := time.NewTimer(s.cfg.StopTimeout)
	defer grace.Stop()
	select {
	case <-c.ended:
		return nil
	case <-grace.C:
	}
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.ended
	return nil
}

// explain says why an ended child ended.
func (c *child) explain() error {
	if c.words == "" {
		return fmt.Errorf("it ended: %w", orEnded(c.err))
	}
	return fmt.Errorf("it ended: %w: %s", orEnded(c.err), c.words)
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("by itself")
	}
	return err
}
