// Package postgres runs a real PostgreSQL server for tests and the demo: on a
// free port of the loopback, with the sign-in method, TLS and settings asked
// for, gone when its parent is gone. It knows nothing of weir.
//
// PostgreSQL refuses to run as root. Started by root the server runs as another
// user, with its folders where that user reaches them.
package postgres

import (
	"context"
	"log/slog"
)

// Superuser is the name of the first user of every server.
const Superuser = "postgres"

// Auth is how clients sign in over TCP, as in pg_hba.conf (PostgreSQL
// documentation, chapter 20.1).
type Auth string

// The methods that the gateway must be able to use upstream.
const (
	SCRAM    Auth = "scram-sha-256"
	MD5      Auth = "md5"
	Password Auth = "password" // cleartext
	Trust    Auth = "trust"
)

// TLS is the server's certificate and key, and the authority of its clients
// if they are to show one, all in PEM.
type TLS struct{ Cert, Key, ClientCA []byte }

// Options say which server to start. The zero value is a throw-away server
// with SCRAM and without TLS.
type Options struct {
	// Dir keeps the data: a server started there again finds it. Empty is a
	// throw-away server, whose folder Stop removes.
	Dir string
	// Bin is the folder of the server programs; empty is the pinned part.
	Bin string
	// Port is a fixed port; zero is a free one, which Restart keeps.
	Port int

	Auth Auth     // zero is SCRAM
	TLS  *TLS     // nil: the server refuses TLS
	HBA  []string // lines of pg_hba.conf instead of the one made from Auth

	Databases []string // to create
	SQL       []string // to run in the first of Databases (or postgres), each possibly many statements
	// Load runs after SQL. Databases, SQL and Load are done once for a Dir: if
	// they fail or are interrupted, the next start begins with empty data.
	Load func(ctx context.Context, s *Server) error

	// Durable leaves fsync on, as a benchmark needs it. Otherwise a crash of
	// the machine (not of the server) may lose data.
	Durable  bool
	Settings map[string]string // for postgresql.conf; they win over the package's own

	Log *slog.Logger // what is being done; nil is silent
}

func (o Options) withDefaults() Options {
	if o.Auth == "" {
		o.Auth = SCRAM
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) firstDatabase() string {
	if len(o.Databases) > 0 {
		return o.Databases[0]
	}
	return "postgres"
}
