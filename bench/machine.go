package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/weir-gateway/weir/integration/parts"
)

// machine says where the results come from, in the order of the report.
type machine []struct{ what, is string }

func describeMachine(ctx context.Context) (machine, error) {
	paths, err := parts.Ensure(ctx, parts.Envoy, parts.Postgres, parts.Clients, parts.CHDB)
	if err != nil {
		return nil, err
	}
	say := func(program string, args ...string) string {
		out, err := exec.CommandContext(ctx, program, args...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(out))
	}
	commit := say("git", "rev-parse", "--short=12", "HEAD")
	if say("git", "status", "--porcelain", "--untracked-files=no") != "" {
		commit += ", and changes that were not committed"
	}
	_, envoy, _ := strings.Cut(say(paths.Envoy, "--version"), "version: ")
	if p := strings.Split(envoy, "/"); len(p) > 1 {
		envoy = p[1]
	}
	m := machine{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{"commit", commit},
		{"machine", fmt.Sprintf("%s, %d cores shared by client, Envoy, weir, ClickHouse and PostgreSQL", processor(), runtime.NumCPU())},
		{"memory", fmt.Sprintf("%.0f GiB", float64(number(strings.TrimSuffix(fields("/proc/meminfo")["MemTotal"], " kB")))/(1<<20))},
		{"kernel", say("uname", "-sr")},
		{"Envoy", envoy},
		{"PostgreSQL", strings.TrimPrefix(say(filepath.Join(paths.PostgresBin, "postgres"), "--version"), "postgres (PostgreSQL) ")},
		{"pgbench", strings.TrimPrefix(say(paths.Client("pgbench"), "--version"), "pgbench (PostgreSQL) ")},
		{"Go", strings.TrimPrefix(runtime.Version(), "go")},
	}
	if program, err := exec.LookPath("pgbouncer"); err == nil {
		first, _, _ := strings.Cut(say(program, "--version"), "\n")
		m = append(m, struct{ what, is string }{"pgbouncer", strings.TrimPrefix(first, "PgBouncer ")})
	}
	return m, nil
}

// processor is the CPU's name.
func processor() string {
	if name := fields("/proc/cpuinfo")["model name"]; name != "" {
		return strings.Join(strings.Fields(name), " ")
	}
	return runtime.GOARCH
}
