package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How long things are given to become quiet, and what quiet is.
const (
	settleWithin = 2 * time.Minute
	settleLook   = 100 * time.Millisecond
	settleBusy   = clockTick // of CPU time in one look, of all processes together
	// settleLooks is how many quiet looks in a row it takes after the gateway has
	// worked: its sink lingers before it brings the next evidence over.
	settleLooks = 5
)

// settle waits until neither the gateway nor PostgreSQL has anything left to
// do, and where the gateway has worked until ClickHouse has all evidence.
func (r *rig) settle(ctx context.Context, worked bool) time.Duration {
	start, looks := time.Now(), 1
	if worked {
		looks = settleLooks
	}
	tick := time.NewTicker(settleLook)
	defer tick.Stop()
	before := r.busy()
	for quiet := 0; quiet < looks && time.Since(start) < settleWithin; {
		select {
		case <-ctx.Done():
			return 0
		case <-tick.C:
		}
		var busy time.Duration
		now := r.busy()
		for pid, cpu := range now {
			busy += cpu - min(cpu, before[pid])
		}
		quiet++
		if before = now; busy > settleBusy || worked && quiet == looks && !r.spoolEmpty(ctx) {
			quiet = 0
		}
	}
	return time.Since(start)
}

// busy is what the gateway's processes and PostgreSQL's have used.
func (r *rig) busy() map[int]time.Duration {
	database := r.stage.Postgres.Pid()
	pids := append(descendants(database), database)
	for _, t := range r.routes {
		if t.id == routeBuffered {
			for _, p := range t.parts {
				pids = append(pids, p.pid)
			}
		}
	}
	out := map[int]time.Duration{}
	for _, pid := range pids {
		out[pid] = usageOf(pid).cpu
	}
	return out
}

// spoolMetric is the gateway's: bytes that ClickHouse does not have yet.
const spoolMetric = "weir_spool_bytes{"

// spoolEmpty asks the gateway whether all evidence is in ClickHouse. What cannot
// be told counts as empty, and is noted once.
func (r *rig) spoolEmpty(ctx context.Context) bool {
	waiting, err := r.spool(ctx)
	if err != nil && !r.spoolUnknown {
		r.spoolUnknown = true
		r.note("Whether evidence had reached ClickHouse could not be told: %v.", err)
	}
	return err != nil || waiting == 0
}

func (r *rig) spool(ctx context.Context) (waiting float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.stage.Settings.Web+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	found := false
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), spoolMetric) {
			continue
		}
		f := strings.Fields(lines.Text())
		value, err := strconv.ParseFloat(f[len(f)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", lines.Text(), err)
		}
		waiting, found = waiting+value, true
	}
	if lines.Err() == nil && !found {
		return 0, errors.New("the gateway's metrics do not say")
	}
	return waiting, lines.Err()
}
