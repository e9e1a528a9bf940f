package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/process"
)

const (
	startTimeout = time.Minute // until the first connection is accepted
	poll         = 20 * time.Millisecond
	portTries    = 5
)

// What the server logs when it cannot start now but can a moment later, or on
// another port.
const (
	portTaken    = "could not bind"
	memoryInUse  = "pre-existing shared memory block"
	anotherAlive = "is another postmaster"
)

// Start starts a server and returns when it accepts connections and the data
// asked for is there.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	if o.Bin == "" {
		paths, err := parts.Ensure(ctx, parts.Postgres)
		if err != nil {
			return nil, err
		}
		o.Bin = paths.PostgresBin
	}
	bin, err := programs(o.Bin)
	if err != nil {
		return nil, err
	}
	dir, err := home(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("a folder for PostgreSQL: %w", err)
	}
	s := &Server{options: o, home: dir, bin: bin, port: o.Port}
	if err := s.start(ctx); err != nil {
		err = fmt.Errorf("PostgreSQL in %s: %w", dir, err)
		if o.Dir == "" {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	ready := filepath.Join(s.home, "ready") // written when the data asked for is there
	_, err := os.Stat(ready)
	fresh := err != nil
	if fresh {
		s.options.Log.Info("creating a database cluster", "dir", s.home)
		if err := s.create(); err != nil {
			return err
		}
	}
	password, err := os.ReadFile(s.passwordFile())
	if err != nil {
		return err
	}
	s.password = string(password)
	if err := s.runOnSomePort(ctx); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	if err := s.load(ctx); err != nil {
		return errors.Join(err, s.shutdown())
	}
	return os.WriteFile(ready, nil, 0o600)
}

func (s *Server) passwordFile() string { return filepath.Join(s.home, "superuser-password") }

// create makes an empty cluster and gives the superuser a random password,
// before the server ever listens.
func (s *Server) create() error {
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if err := newData(s.bin, s.data()); err != nil {
		return err
	}
	password := rand.Text()
	if err := os.WriteFile(s.passwordFile(), []byte(password), 0o600); err != nil {
		return err
	}
	if err := writeConfig(s.data(), 5432, Options{Auth: s.options.Auth}); err != nil {
		return err
	}
	// --single runs one statement a line, as the superuser, and does not listen.
	return execute(s.home, filepath.Join(s.bin, "postgres"),
		[]string{"--single", "-D", s.data(), "-c", "exit_on_error=on", "postgres"},
		fmt.Sprintf("ALTER USER %s PASSWORD '%s'\n", Superuser, password))
}

func (s *Server) load(ctx context.Context) error {
	for _, name := range s.options.Databases {
		if err := s.Exec(ctx, "postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("creating database %s: %w", name, err)
		}
	}
	for _, sql := range s.options.SQL {
		if err := s.Exec(ctx, s.options.firstDatabase(), sql); err != nil {
			return fmt.Errorf("running the SQL asked for: %w", err)
		}
	}
	if s.options.Load != nil {
		return s.options.Load(ctx, s)
	}
	return nil
}

// runOnSomePort starts the server, and again on another port if somebody took
// the free one in between.
func (s *Server) runOnSomePort(ctx context.Context) error {
	for try := 1; ; try++ {
		if s.options.Port == 0 {
			port, err := freePort(ctx)
			if err != nil {
				return err
			}
			s.port = port
		}
		err := s.run(ctx)
		if err == nil || s.options.Port != 0 || try == portTries || !strings.Contains(err.Error(), portTaken) {
			return err
		}
	}
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// run starts the postmaster and waits until it accepts connections. Processes
// of a server that was killed may hold its memory for a moment more.
func (s *Server) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.once(ctx)
		if err != nil && !strings.Contains(err.Error(), memoryInUse) && !strings.Contains(err.Error(), anotherAlive) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)))
	return err
}

func (s *Server) once(ctx context.Context) error {
	if err := writeConfig(s.data(), s.port, s.options); err != nil {
		return err
	}
	log, err := os.OpenFile(s.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	before, err := log.Stat()
	if err != nil {
		return err
	}
	s.process, err = process.Start(process.Command{
		Path: filepath.Join(s.bin, "postgres"), Args: []string{"-D", s.data()}, Dir: s.home, Env: environment(),
		Output: log, User: owner(), DeathSignal: syscall.SIGQUIT, // immediate shutdown: all backends end with it
	})
	if err != nil {
		return err
	}
	if err := s.accepting(ctx); err != nil {
		_ = s.process.Stop(syscall.SIGQUIT, stopGrace) // the reason is err
		if after, statErr := os.Stat(s.logFile()); statErr == nil {
			err = fmt.Errorf("%w; it logged:\n%s", err, tail(s.logFile(), min(after.Size()-before.Size(), 8<<10)))
		}
		return err
	}
	s.options.Log.Info("PostgreSQL accepts connections", "addr", s.Addr(), "pid", s.Pid())
	return nil
}

// accepting waits until the server answers a startup packet with anything but
// "starting up", or ends.
func (s *Server) accepting(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code != "57P03" { // cannot_connect_now
			return nil // it is up; an HBA of the caller's may well refuse the superuser
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("ended at start: %w", s.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("does not accept connections: %w", err)
		case <-tick.C:
		}
	}
}
