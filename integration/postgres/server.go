package postgres

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/process"
)

// stopGrace is how long a server may take to shut down before it is killed.
const stopGrace = 20 * time.Second

// Server is a PostgreSQL server that runs. Its methods are not for concurrent
// use, except those that only read.
type Server struct {
	options  Options
	home     string // holds data, the log and the superuser's password
	bin      string
	port     int
	password string
	process  *process.Process
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Password is the superuser's.
func (s *Server) Password() string { return s.password }

// Home is the folder that holds the data and the log.
func (s *Server) Home() string { return s.home }

// Pid is the postmaster's process id.
func (s *Server) Pid() int { return s.process.Pid() }

// DSN is a connection URL for the superuser.
func (s *Server) DSN(database string) string { return s.DSNFor(Superuser, s.password, database) }

// DSNFor is a connection URL for a user. With TLS it asks for sslmode=require.
func (s *Server) DSNFor(user, password, database string) string {
	mode := "disable"
	if s.options.TLS != nil {
		mode = "require"
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: s.Addr(), Path: "/" + database, RawQuery: "sslmode=" + mode}
	return u.String()
}

// Connect connects as the superuser; the caller closes the connection.
func (s *Server) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, s.DSN(database))
}

// Exec runs SQL, possibly many statements, as the superuser.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// Stop ends the server by a fast shutdown (sessions are ended, data is written)
// and removes a throw-away server's folder. Stopping twice is no error.
func (s *Server) Stop() error {
	err := s.shutdown()
	if s.options.Dir == "" {
		if removeErr := os.RemoveAll(s.home); err == nil {
			err = removeErr
		}
	}
	return err
}

func (s *Server) shutdown() error {
	select {
	case <-s.process.Done():
		return nil
	default:
		return s.process.Stop(syscall.SIGINT, stopGrace)
	}
}

// Kill ends the server as a crash would, with SIGKILL. Restart brings it back.
func (s *Server) Kill() error {
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.process.Done()
	return nil
}

// Restart stops the server if it runs, and starts it on the same port with
// the same data.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.shutdown(); err != nil {
		return err
	}
	return s.run(ctx)
}

// Log is the last part, at most 64 KiB, of what the server logged.
func (s *Server) Log() string { return tail(s.logFile(), 64<<10) }

func (s *Server) data() string    { return filepath.Join(s.home, "data") }
func (s *Server) logFile() string { return filepath.Join(s.home, "postgres.log") }

func tail(path string, limit int64) string {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	from := max(0, info.Size()-limit)
	text := make([]byte, info.Size()-from)
	n, _ := f.ReadAt(text, from)
	return string(text[:n])
}
