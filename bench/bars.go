package main

import (
	"fmt"
	"math"
)

// bar is a line of performance targets beside what was measured.
type bar struct {
	what, want string
	got        float64
	format     string
}

func (b bar) String() string {
	if math.IsNaN(b.got) {
		return "not measured"
	}
	return fmt.Sprintf(b.format, b.got)
}

// values are a workload's on a route, one a round; round by round they belong
// to those of other routes.
func (res *results) values(workload, route string) []float64 {
	var out []float64
	for _, c := range res.cells[workload][route] {
		out = append(out, c.value)
	}
	return out
}

// combine is the median over the rounds of what f makes of the values of one
// round. A value that is missing makes it NaN.
func combine(f func(v ...float64) float64, of ...[]float64) float64 {
	rounds := math.MaxInt
	for _, values := range of {
		rounds = min(rounds, len(values))
	}
	var out []float64
	for round := range rounds {
		args := make([]float64, len(of))
		for i, values := range of {
			args[i] = values[round]
		}
		out = append(out, f(args...))
	}
	return median(out)
}

func quotient(v ...float64) float64 { return v[0] / v[1] }

// ratio is one route over another.
func (res *results) ratio(workload, route, over string) float64 {
	return combine(quotient, res.values(workload, route), res.values(workload, over))
}

// added is what a route adds to the direct way, over what another adds to it.
func (res *results) added(workload, route, over string) float64 {
	return combine(func(v ...float64) float64 { return (v[0] - v[2]) / (v[1] - v[2]) },
		res.values(workload, route), res.values(workload, over), res.values(workload, routeDirect))
}

// newText is what a text that was never seen costs beyond one that was, and
// beyond what that costs PostgreSQL itself.
func (res *results) newText(kind, route string) float64 {
	return combine(func(v ...float64) float64 { return (v[0] - v[1]) - (v[2] - v[3]) },
		res.values(kind+"-new", route), res.values(kind+"-seen", route),
		res.values(kind+"-new", routeDirect), res.values(kind+"-seen", routeDirect))
}

// bars are the lines of the design's table that this run can say something of.
func (res *results) bars() []bar {
	durable := combine(func(v ...float64) float64 { return v[0] - v[1] }, res.values("select-1", routeDurable), res.values("select-1", routeBuffered))
	return []bar{
		{"1 client, prepared SELECT, buffered: added to direct, over what the echo adds", "at most 1.25", res.added("select-1", routeBuffered, routeEcho), "%.2f"},
		{"the same, durable: more than buffered", "one fsync (below)", durable, "%.3f ms"},
		{"40 clients, buffered, over the echo", "at least 0.85", res.ratio("select-40", routeBuffered, routeEcho), "%.2f"},
		{"40 clients, durable, over buffered", "at least 0.7", res.ratio("select-40", routeDurable, routeBuffered), "%.2f"},
		{"wide rows that no mask touches, over the echo", "at least 0.9", res.ratio("wide", routeBuffered, routeEcho), "%.2f"},
		{"wide rows, 2 of 8 columns masked, over the echo", "at least 0.75", res.ratio("wide-masked", routeBuffered, routeEcho), "%.2f"},
		{"COPY TO STDOUT, 2 of 8 columns masked, over the echo", "at least 0.6", res.ratio("copy-masked", routeBuffered, routeEcho), "%.2f"},
		{"COPY TO STDOUT that no mask touches, over the echo", "", res.ratio("copy", routeBuffered, routeEcho), "%.2f"},
		{"INSERT of a 1 MiB literal, buffered, over the echo", "at most 1.3", res.ratio("insert", routeBuffered, routeEcho), "%.2f"},
		{"a simple text never seen before, over a seen one", "at most 0.15 ms", res.newText("simple", routeBuffered), "%.3f ms"},
		{"one with a CTE, a join and subqueries, over a seen one", "at most 0.5 ms", res.newText("complex", routeBuffered), "%.3f ms"},
		{"connect, sign in, SELECT 1, close, buffered, over the echo", "at most 1.15", res.ratio("connect", routeBuffered, routeEcho), "%.2f"},
		{"relay: 1 client, prepared SELECT, buffered: added to direct, over what the bare relay adds", "at most 1.3", res.added("select-1", routeRelayBuffered, routeRelay), "%.2f"},
		{"relay: 40 clients, buffered, over the bare relay", "at least 0.9", res.ratio("select-40", routeRelayBuffered, routeRelay), "%.2f"},
		{"relay: 40 clients, durable, over buffered", "at least 0.7", res.ratio("select-40", routeRelayDurable, routeRelayBuffered), "%.2f"},
		{"relay: wide rows that no mask touches, over the bare relay", "at least 0.9", res.ratio("wide", routeRelayBuffered, routeRelay), "%.2f"},
		{"relay: wide rows, 2 of 8 columns masked, over the bare relay", "at least 0.65", res.ratio("wide-masked", routeRelayBuffered, routeRelay), "%.2f"},
		{"relay: COPY TO STDOUT, 2 of 8 columns masked, over the bare relay", "", res.ratio("copy-masked", routeRelayBuffered, routeRelay), "%.2f"},
		{"relay: INSERT of a 1 MiB literal, buffered, over the bare relay", "at most 1.6", res.ratio("insert", routeRelayBuffered, routeRelay), "%.2f"},
		{"relay: connect, sign in, SELECT 1, close, buffered, over the bare relay", "", res.ratio("connect", routeRelayBuffered, routeRelay), "%.2f"},
		{"HTTP, headers only, buffered, over the headers echo", "at most 1.15", res.ratio(workloadHeaders, routeBuffered, routeEcho), "%.2f"},
		{"HTTP, small JSON masked, buffered, over the echo with bodies", "at most 1.2", res.ratio(workloadJSON, routeBuffered, routeEcho), "%.2f"},
	}
}
