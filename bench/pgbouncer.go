package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/weir-gateway/weir/integration/process"
)

// nobody is as whom pgbouncer runs where root starts it: it refuses to be root.
const nobody = 65534

// startPgbouncer starts pgbouncer with a pool a session, where it is installed.
func (r *rig) startPgbouncer(ctx context.Context) error {
	program, _ := exec.LookPath("pgbouncer")
	if program == "" {
		r.note("pgbouncer is not installed here: it has no column.")
		r.ports.pgbouncer = 0
		return nil
	}
	config, err := r.pgbouncerConfig()
	if err != nil {
		return err
	}
	c := process.Command{Path: program, Args: []string{config}}
	if os.Geteuid() == 0 {
		c.User = &process.User{UID: nobody, GID: nobody}
		for _, path := range []string{filepath.Dir(config), config, filepath.Join(filepath.Dir(config), "users.txt")} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				return err
			}
		}
	}
	p, err := r.start("pgbouncer", c)
	if err != nil {
		return err
	}
	return r.await(ctx, "pgbouncer", local(r.ports.pgbouncer), p)
}

func (r *rig) pgbouncerConfig() (string, error) {
	dir, err := os.MkdirTemp("", "weir-bench-pgbouncer-")
	if err != nil {
		return "", err
	}
	r.folders = append(r.folders, dir)
	users, config := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	return config, errors.Join(
		os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", databaseUser, databasePassword), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, `[databases]
%s = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = session
max_client_conn = 500
default_pool_size = 100
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
`, databaseName, r.stage.Postgres.Port(), r.ports.pgbouncer, users), 0o600))
}
