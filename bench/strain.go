package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

// strain is something that may fill a processor's memory, tried once after the
// rounds on the routes that have a processor.
type strain struct {
	id, title, bar string
	run            func(ctx context.Context, s *straining) error
}

// straining is one strain on one route.
type straining struct {
	rig     *rig
	route   *route
	figures []figure
	base    map[string]uint64 // resident memory before it, by role
}

// figure is a line of a strain's table.
type figure struct {
	what  string
	value string
}

func (s *straining) say(what, format string, args ...any) {
	s.figures = append(s.figures, figure{what, fmt.Sprintf(format, args...)})
}

// strained is what a strain gave on a route, or why it gave nothing.
type strained struct {
	route   *route
	figures []figure
	err     error
}

// strainAll tries every strain on every route that has a processor of ours or
// the yardstick's.
func strainAll(ctx context.Context, r *rig) map[string][]strained {
	out := map[string][]strained{}
	for _, one := range strains(r.options) {
		if !r.options.only.MatchString(one.id) {
			continue
		}
		for _, t := range r.routes {
			if t.id != routeEcho && !strings.HasPrefix(t.id, "weir-") || ctx.Err() != nil {
				continue
			}
			start := time.Now()
			s := &straining{rig: r, route: t, base: map[string]uint64{}}
			for _, p := range t.parts {
				resetPeak(p.pid)
				s.base[p.role], _ = memory(p.pid)
			}
			err := one.run(ctx, s)
			if err != nil {
				r.say("  %s, %s: %v", one.id, t.label, err)
			}
			s.memory()
			out[one.id] = append(out[one.id], strained{t, s.figures, err})
			settled := r.settle(ctx, t.bearer != "")
			r.say("  %-14s %-34s %5.1f s, of it %.1f s to become quiet", one.id, t.label, time.Since(start).Seconds(), settled.Seconds())
		}
	}
	return out
}

// watched are the processes whose memory is looked at, in the order of the tables.
func (s *straining) watched() (out []part) {
	for _, role := range []string{roleEnvoy, roleProcessor} {
		for _, p := range s.route.parts {
			if p.role == role {
				out = append(out, p)
			}
		}
	}
	return out
}

// memory says how far the processes grew.
func (s *straining) memory() {
	for _, p := range s.watched() {
		now, peak := memory(p.pid)
		s.say(p.role+", MiB: before, peak, after", "%d, %d, %d", s.base[p.role]>>20, peak>>20, now>>20)
	}
}

// each is how much more memory the processes have than before, for each of n.
func (s *straining) each(n int) {
	for _, p := range s.watched() {
		now, _ := memory(p.pid)
		s.say(p.role+", KiB each", "%.0f", math.Max(0, float64(now)-float64(s.base[p.role]))/1024/float64(n))
	}
}

// strains writes their tables.
func (r report) strains(b *strings.Builder) {
	for _, one := range strains(r.options) {
		tried := r.strained[one.id]
		if len(tried) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n## %s%s\n\n", strings.ToUpper(one.title[:1]), one.title[1:])
		if one.bar != "" {
			fmt.Fprintf(b, "Bar: %s.\n\n", one.bar)
		}
		for i, t := range tried {
			if i == 0 {
				b.WriteString("| |")
				for _, f := range t.figures {
					fmt.Fprintf(b, " %s |", f.what)
				}
				b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(t.figures)) + "\n")
			}
			fmt.Fprintf(b, "| %s |", t.route.label)
			for _, f := range t.figures {
				fmt.Fprintf(b, " %s |", f.value)
			}
			b.WriteString("\n")
		}
		for _, t := range tried {
			if t.err != nil {
				fmt.Fprintf(b, "\n%s: `%s`\n", t.route.label, strings.ReplaceAll(t.err.Error(), "\n", " "))
			}
		}
	}
}
