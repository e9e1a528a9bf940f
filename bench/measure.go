package main

import (
	"context"
	"time"
)

// cell is one workload on one route in one round.
type cell struct {
	outcome
	used    map[string]usage     // by role
	memory  map[string][2]uint64 // by role: before, and at the peak
	settled time.Duration        // until all was quiet again
}

// results are all cells, and what went wrong in place of one.
type results struct {
	workloads []*workload
	routes    []*route
	cells     map[string]map[string][]cell // by workload and route, one a round
	failed    map[string]map[string]error
}

// measure runs every workload on every route in interleaved rounds. What fails
// once on a route is left out there.
func measure(ctx context.Context, r *rig) *results {
	res := &results{routes: r.routes, cells: map[string]map[string][]cell{}, failed: map[string]map[string]error{}}
	for _, w := range workloads(r.options) {
		if r.options.only.MatchString(w.id) {
			res.workloads = append(res.workloads, w)
			res.cells[w.id], res.failed[w.id] = map[string][]cell{}, map[string]error{}
		}
	}
	r.say("Warming up")
	for round := range r.options.rounds + 1 {
		if round > 0 {
			r.say("Round %d of %d", round, r.options.rounds)
		}
		for _, w := range res.workloads {
			start, settled := time.Now(), time.Duration(0)
			for i := range r.routes {
				if ctx.Err() != nil {
					return res
				}
				// Each round begins with another route, so that none is always the
				// first after another workload.
				settled += res.one(ctx, r, w, r.routes[(i+round)%len(r.routes)], round)
			}
			r.say("  %-14s %5.1f s, of it %.1f s to become quiet", w.id, time.Since(start).Seconds(), settled.Seconds())
		}
	}
	return res
}

// warmSeconds is how long each workload runs on each route before it counts.
const warmSeconds = 0.3

// one measures a cell, and says how long it then took to become quiet.
func (res *results) one(ctx context.Context, r *rig, w *workload, t *route, round int) time.Duration {
	if !w.on(t) || res.failed[w.id][t.id] != nil {
		return 0
	}
	seconds := r.options.seconds
	if round == 0 {
		seconds = min(seconds/4, warmSeconds)
	}
	c, err := r.cell(ctx, w, t, seconds)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		res.failed[w.id][t.id] = err
		r.say("  %s, %s: %v", w.id, t.label, err)
	case round > 0:
		res.cells[w.id][t.id] = append(res.cells[w.id][t.id], c)
	}
	return c.settled
}

// cell measures once, and then waits until everything is quiet: nobody pays for
// the evidence of the one before.
func (r *rig) cell(ctx context.Context, w *workload, t *route, seconds float64) (cell, error) {
	if w.prepare != nil {
		if err := w.prepare(ctx, r); err != nil {
			return cell{}, err
		}
	}
	c := cell{used: map[string]usage{}, memory: map[string][2]uint64{}}
	before := map[int]usage{}
	for _, p := range t.parts {
		if before[p.pid] = usageOf(p.pid); w.peak {
			resetPeak(p.pid)
			now, _ := memory(p.pid)
			c.memory[p.role] = [2]uint64{now}
		}
	}
	var err error
	c.outcome, err = w.run(ctx, r, t, seconds)
	for _, p := range t.parts {
		u := usageOf(p.pid).since(before[p.pid])
		u.switches, u.cpu = u.switches+c.used[p.role].switches, u.cpu+c.used[p.role].cpu
		if c.used[p.role] = u; w.peak {
			_, peak := memory(p.pid)
			c.memory[p.role] = [2]uint64{c.memory[p.role][0], peak}
		}
	}
	c.settled = r.settle(ctx, t.bearer != "")
	return c, err
}
