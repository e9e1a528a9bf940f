package main

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// unit is what a workload measures.
type unit string

const (
	millis unit = "ms"   // p50 of one statement or request; less is better
	tps    unit = "tps"  // statements a second
	mbps   unit = "MB/s" // bytes of rows as PostgreSQL sends them, 10^6 a second
)

func (u unit) rate() bool { return u != millis }

// outcome is what one run of a workload gave: the value in its unit, and how
// many statements or requests it took.
type outcome struct{ value, ops float64 }

// workload is something that is done on every route.
type workload struct {
	id, title string
	unit      unit
	bar       string // of performance.md, as a text
	peak      bool   // the peak of memory is of interest
	http      bool   // of the routes that have its URL, else of those that have a port
	prepare   func(ctx context.Context, r *rig) error
	run       func(ctx context.Context, r *rig, t *route, seconds float64) (outcome, error)
}

// The workloads of HTTP, by which a route finds its URL.
const (
	workloadHeaders = "http-headers"
	workloadJSON    = "http-json"
)

func (w *workload) on(t *route) bool {
	if w.http {
		return t.urls[w.id] != ""
	}
	return t.port != 0
}

// Texts of pgbench scripts. The statement that was seen is the same text every
// time, the other one never twice.
const (
	randoms     = "\\set aid random(1, 100000 * :scale)\n\\set n random(1, 1000000000)\n"
	simpleText  = "SELECT abalance FROM pgbench_accounts WHERE aid = %s AND abalance < %s;\n"
	complexText = "WITH a AS (SELECT aid, bid, abalance FROM pgbench_accounts WHERE aid = %s) " +
		"SELECT a.aid, b.bbalance, (SELECT max(t.tbalance) FROM pgbench_tellers t WHERE t.bid = a.bid) AS most " +
		"FROM a JOIN pgbench_branches b ON b.bid = a.bid " +
		"WHERE a.abalance < %s AND EXISTS (SELECT 1 FROM pgbench_tellers t WHERE t.bid = b.bid AND t.tbalance < 1000000) ORDER BY most;\n"
)

func seen(text string) string  { return randoms + fmt.Sprintf(text, "4711", "1000000") }
func fresh(text string) string { return randoms + fmt.Sprintf(text, ":aid", "1000000 + :n") }

// workloads are all of them, in the order of the report.
func workloads(o options) []*workload {
	wide := wideRows * wideRowBytes
	return []*workload{
		{id: "select-1", title: "1 client, `pgbench -S -M prepared`", unit: millis, run: bench(script{builtin: true, mode: "prepared", clients: 1}),
			bar: "what it adds, buffered: at most 1.25 x what the echo adds; durable one fsync more"},
		{id: "select-40", title: "40 clients, `pgbench -S -M prepared`", unit: tps, run: bench(script{builtin: true, mode: "prepared", clients: 40}),
			bar: "buffered at least 0.85 x the echo; durable at least 0.7 x buffered"},
		{id: "simple", title: "1 client, `pgbench -S -M simple`: every statement a text of its own", unit: millis, run: bench(script{builtin: true, mode: "simple", clients: 1})},
		{id: "simple-seen", title: "the same simple text again and again, simple protocol", unit: millis, run: bench(script{text: seen(simpleText), mode: "simple", clients: 1})},
		{id: "simple-new", title: "a simple text never seen before, simple protocol", unit: millis, run: bench(script{text: fresh(simpleText), mode: "simple", clients: 1}),
			bar: "over the seen one at most 0.15 ms"},
		{id: "complex-seen", title: "the same text with a CTE, a join and subqueries again and again", unit: millis, run: bench(script{text: seen(complexText), mode: "simple", clients: 1})},
		{id: "complex-new", title: "a text with a CTE, a join and subqueries never seen before", unit: millis, run: bench(script{text: fresh(complexText), mode: "simple", clients: 1}),
			bar: "over the seen one at most 0.5 ms"},
		{id: "wide", title: "1,000 rows x 8 text columns that no mask touches", unit: mbps, run: bench(script{text: "SELECT * FROM wide;\n", mode: "prepared", clients: 1, bytes: wide}),
			bar: "at least 0.9 x the echo"},
		{id: "wide-masked", title: "1,000 rows x 8 text columns, 2 of them masked (`partial`)", unit: mbps, run: bench(script{text: "SELECT * FROM wide_masked;\n", mode: "prepared", clients: 1, bytes: wide}),
			bar: "at least 0.75 x the echo"},
		{id: "copy", title: fmt.Sprintf("COPY of %d MiB TO STDOUT that no mask touches", o.copied), unit: mbps, peak: true, run: copyOut("bulk")},
		{id: "copy-masked", title: fmt.Sprintf("COPY of %d MiB TO STDOUT, 2 of 8 columns masked", o.copied), unit: mbps, peak: true, run: copyOut("bulk_masked"),
			bar: "at least 0.6 x the echo"},
		{id: "insert", title: "INSERT of a literal of 1 MiB", unit: millis, run: insertLarge, prepare: emptyLarge,
			bar: "at most 1.3 x the echo"},
		{id: "connect", title: "connect, sign in, SELECT 1, close", unit: millis, run: connect,
			bar: "at most 1.15 x the echo"},
		{id: workloadHeaders, title: "HTTP, headers only", unit: millis, http: true, run: get(false),
			bar: "buffered at most 1.15 x the headers echo"},
		{id: workloadJSON, title: "HTTP, a small JSON document, of which weir masks 2 values", unit: millis, http: true, run: get(true),
			bar: "buffered at most 1.2 x the echo with bodies"},
	}
}

// median of values; NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
