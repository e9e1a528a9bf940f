package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// report is RESULTS.md.
type report struct {
	machine  machine
	options  options
	results  *results
	profiles []profiled
	strained map[string][]strained // by strain
	notes    []string
	others   others
	took     time.Duration
}

// byHand begins the part of the file that people write; a new run keeps it.
const byHand = "<!-- Below this line is written by hand and kept by the next run. -->"

func (r report) write(file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, kept, _ := strings.Cut(string(old), byHand)
	if strings.TrimSpace(kept) == "" {
		kept = "\n"
	}
	return os.WriteFile(file, []byte(r.text()+byHand+kept), 0o644)
}

func (r report) text() string {
	var b strings.Builder
	b.WriteString("# What the gateway costs\n\nWritten by `make bench`; how to read it is in [README.md](README.md).\n\n| | |\n| --- | --- |\n")
	for _, m := range r.machine {
		fmt.Fprintf(&b, "| %s | %s |\n", m.what, m.is)
	}
	fmt.Fprintf(&b, "| others at work | %.0f %% of all processors before it, %.0f %% after it |\n", 100*r.others.before, 100*r.others.after)
	fmt.Fprintf(&b, "| run | `%s`, %s |\n", r.options.command(), r.took.Round(time.Second))
	if r.options.quick {
		b.WriteString("\n**A smoke run: one short round. The numbers mean little.**\n")
	}
	if r.others.disturb() {
		b.WriteString("\n**Others were at work on this machine: the numbers are worse than those of a quiet one, and noisy.**\n")
	}
	r.overview(&b)
	r.bars(&b)
	for _, w := range r.results.workloads {
		r.workload(&b, w)
	}
	r.strains(&b)
	r.hotPath(&b)
	if len(r.notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, n := range r.notes {
			fmt.Fprintf(&b, "- %s\n", n)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// overview is every median.
func (r report) overview(b *strings.Builder) {
	b.WriteString("\n## Medians\n\n| |")
	for _, t := range r.results.routes {
		fmt.Fprintf(b, " %s |", t.label)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(r.results.routes)) + "\n")
	for _, w := range r.results.workloads {
		fmt.Fprintf(b, "| %s (%s) |", w.title, w.unit)
		for _, t := range r.results.routes {
			switch {
			case r.results.failed[w.id][t.id] != nil:
				b.WriteString(" refused |")
			default:
				fmt.Fprintf(b, " %s |", w.unit.format(median(r.results.values(w.id, t.id))))
			}
		}
		b.WriteString("\n")
	}
}

func (u unit) format(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case u == millis:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func (r report) bars(b *strings.Builder) {
	b.WriteString("\n## Beside the bars of the design\n\nRatios are made within a round; the median of all rounds is shown.\n\n| | bar | measured |\n| --- | --- | ---: |\n")
	for _, one := range r.results.bars() {
		if math.IsNaN(one.got) && r.options.only.String() != "" {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", one.what, one.want, one)
	}
}

// workload is the table of one workload.
func (r report) workload(b *strings.Builder, w *workload) {
	res := r.results
	fmt.Fprintf(b, "\n## %s%s\n\n", strings.ToUpper(w.title[:1]), w.title[1:])
	if w.bar != "" {
		fmt.Fprintf(b, "Bar: %s.\n\n", w.bar)
	}
	columns := []string{string(w.unit), "min to max", "/ direct", "/ echo"}
	if !w.unit.rate() {
		columns = append(columns, "added to direct", "/ added by the echo")
	}
	columns = append(columns, "switches", "Envoy, µs", "processor, µs")
	if w.peak {
		columns = append(columns, "Envoy, peak MiB", "processor, peak MiB")
	}
	b.WriteString("| |")
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(columns)) + "\n")
	for _, t := range res.routes {
		if err := res.failed[w.id][t.id]; err != nil {
			fmt.Fprintf(b, "| %s |%s\n", t.label, strings.Repeat(" |", len(columns)))
			continue
		}
		if cells := res.cells[w.id][t.id]; len(cells) > 0 {
			fmt.Fprintf(b, "| %s | %s |\n", t.label, strings.Join(r.row(w, t, cells), " | "))
		}
	}
	for _, t := range res.routes {
		if err := res.failed[w.id][t.id]; err != nil {
			fmt.Fprintf(b, "\n%s: `%s`\n", t.label, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	if s := r.settled(w); s != "" {
		b.WriteString("\n" + s + "\n")
	}
}

func (r report) row(w *workload, t *route, cells []cell) []string {
	res := r.results
	values := res.values(w.id, t.id)
	quotient := func(v float64) string {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ""
		}
		return fmt.Sprintf("%.2f", v)
	}
	out := []string{
		w.unit.format(median(values)), w.unit.format(slices.Min(values)) + " to " + w.unit.format(slices.Max(values)),
		quotient(res.ratio(w.id, t.id, routeDirect)), quotient(res.ratio(w.id, t.id, routeEcho)),
	}
	if !w.unit.rate() {
		more := combine(func(v ...float64) float64 { return v[0] - v[1] }, values, res.values(w.id, routeDirect))
		out = append(out, w.unit.format(more), quotient(res.added(w.id, t.id, routeEcho)))
		// Beside what PostgreSQL takes, what the echo adds may be less than the noise.
		noise := math.Abs(median(res.values(w.id, routeEcho))-median(res.values(w.id, routeDirect))) < 0.2*median(res.values(w.id, routeDirect))
		if t.id == routeDirect || noise {
			out[5] = ""
		}
		if t.id == routeDirect {
			out[4] = ""
		}
	}
	out = append(out, perOp(cells, "", switches), perOp(cells, roleEnvoy, micros), perOp(cells, roleProcessor, micros))
	if w.peak {
		out = append(out, peak(cells, roleEnvoy), peak(cells, roleProcessor))
	}
	return out
}

func switches(u usage) float64 { return float64(u.switches) }
func micros(u usage) float64   { return float64(u.cpu.Microseconds()) }

// perOp is what one statement takes of a role's processes, or of all but the
// store's where none is named.
func perOp(cells []cell, role string, what func(usage) float64) string {
	var all []float64
	for _, c := range cells {
		sum, found := 0.0, false
		for name, u := range c.used {
			if name == role || role == "" && name != roleStore {
				sum, found = sum+what(u), true
			}
		}
		if found {
			all = append(all, sum/c.ops)
		}
	}
	switch v := median(all); {
	case math.IsNaN(v):
		return ""
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// peak is the highest of the peaks, and from where it came.
func peak(cells []cell, role string) string {
	var now, most uint64
	for _, c := range cells {
		if m, ok := c.memory[role]; ok && m[1] > most {
			now, most = m[0], m[1]
		}
	}
	if most == 0 {
		return ""
	}
	return fmt.Sprintf("%d (from %d)", most>>20, now>>20)
}

// settled says how long the gateway worked on after a workload.
func (r report) settled(w *workload) string {
	var after []float64
	for _, route := range []string{routeBuffered, routeDurable} {
		for _, c := range r.results.cells[w.id][route] {
			after = append(after, c.settled.Seconds())
		}
	}
	if m := median(after); m > 1 {
		return fmt.Sprintf("After a run of weir's it took another %.1f s (median) until ClickHouse had all evidence and nothing worked any more.", m)
	}
	return ""
}
