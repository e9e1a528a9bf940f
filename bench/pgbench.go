package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// script is what pgbench is to do.
type script struct {
	builtin bool   // pgbench -S
	text    string // otherwise
	mode    string // of the protocol: simple, extended, prepared
	clients int
	bytes   int // that one transaction returns; with it the value is MB/s
}

// bench runs pgbench: with one client the value is the median of all
// transactions, with several, or with bytes, it is a rate.
func bench(s script) func(context.Context, *rig, *route, float64) (outcome, error) {
	return func(ctx context.Context, r *rig, t *route, seconds float64) (outcome, error) {
		dir, err := os.MkdirTemp(r.options.dir, "pgbench-")
		if err != nil {
			return outcome{}, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		args, err := s.arguments(dir, r.options.scale, seconds)
		if err != nil {
			return outcome{}, err
		}
		out, err := r.stage.Run(ctx, nil, r.stage.Env("PGPASSWORD="+t.password), r.stage.Parts.Client("pgbench"), append(args, t.dsn())...)
		if err != nil {
			return outcome{}, complaint(out, err)
		}
		rate, done, err := summary(out)
		switch {
		case err != nil:
			return outcome{}, err
		case s.bytes > 0:
			return outcome{rate * float64(s.bytes) / 1e6, done}, nil
		case s.clients > 1:
			return outcome{rate, done}, nil
		}
		logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
		if err != nil || len(logs) == 0 {
			return outcome{}, errors.Join(err, errors.New("pgbench wrote no log"))
		}
		times, err := readLog(logs[0])
		return outcome{median(times), done}, err
	}
}

func (s script) arguments(dir string, scale int, seconds float64) ([]string, error) {
	// pgbench counts whole seconds; a shorter run is one of few transactions.
	args := []string{"-n", "-M", s.mode, "-c", strconv.Itoa(s.clients), "-j", strconv.Itoa(min(s.clients, 2))}
	if seconds >= 1 {
		args = append(args, "-T", strconv.Itoa(int(seconds+0.5)))
	} else {
		args = append(args, "-t", strconv.Itoa(max(10, int(seconds*s.guess()))))
	}
	if s.clients == 1 && s.bytes == 0 {
		args = append(args, "-l", "--log-prefix", filepath.Join(dir, "log"))
	}
	if s.builtin {
		return append(args, "-S"), nil
	}
	file := filepath.Join(dir, "script")
	return append(args, "-f", file, "-D", fmt.Sprintf("scale=%d", scale)), os.WriteFile(file, []byte(s.text), 0o600)
}

// guess is about how many transactions a client does in a second, at least.
func (s script) guess() float64 {
	if s.bytes > 0 {
		return 100
	}
	return max(100, 1000/float64(s.clients))
}

var (
	ratePattern = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial connection time\)`)
	donePattern = regexp.MustCompile(`(?m)^number of transactions actually processed: ([0-9]+)`)
)

// summary reads what pgbench prints at its end.
func summary(out string) (rate, done float64, err error) {
	for pattern, value := range map[*regexp.Regexp]*float64{ratePattern: &rate, donePattern: &done} {
		m := pattern.FindStringSubmatch(out)
		if m == nil {
			return 0, 0, fmt.Errorf("pgbench said: %s", out)
		}
		if *value, err = strconv.ParseFloat(m[1], 64); err != nil {
			return 0, 0, err
		}
	}
	return rate, done, nil
}

// complaint is the first error among what a client printed.
func complaint(out string, err error) error {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "ERROR:") || strings.Contains(line, "FATAL:") || strings.Contains(line, "error:") {
			return errors.New(strings.TrimSpace(line))
		}
	}
	return fmt.Errorf("%w: %s", err, out)
}

// readLog reads the times of all transactions, in milliseconds: the third column
// is in microseconds (PostgreSQL, pgbench, "Per-Transaction Logging").
func readLog(file string) ([]float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var out []float64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		columns := strings.Fields(lines.Text())
		if len(columns) < 3 {
			return nil, fmt.Errorf("a line of pgbench's log: %q", lines.Text())
		}
		us, err := strconv.ParseFloat(columns[2], 64)
		if err != nil {
			return nil, fmt.Errorf("a line of pgbench's log: %q", lines.Text())
		}
		out = append(out, us/1000)
	}
	return out, lines.Err()
}
