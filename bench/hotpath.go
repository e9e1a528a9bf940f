package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// hotPath is what the profiles say.
func (r report) hotPath(b *strings.Builder) {
	if len(r.profiles) == 0 {
		return
	}
	b.WriteString("\n## What dominates\n\nCPU profiles of the weir process, taken over its admin socket after the rounds, with buffered evidence. " +
		"A sample belongs to the innermost room or library on its stack, so a system call belongs to who made it. " +
		"\"With all it called\" counts a sample for every room on the stack; grpc-go and Envoy's API are below every session.\n")
	for _, p := range r.profiles {
		fmt.Fprintf(b, "\n### %s\n\n%s\n", p.title, p.sentences())
		b.WriteString("\n| room or library | alone | with all it called |\n| --- | ---: | ---: |\n")
		for _, s := range p.owners {
			if s.alone >= 0.005 || s.in >= 0.02 {
				fmt.Fprintf(b, "| %s | %.1f %% | %.1f %% |\n", s.name, 100*s.alone, 100*s.in)
			}
		}
		functionTable(b, "function with the most of its own", p.functions[:min(10, len(p.functions))])
		functionTable(b, "function of weir with the most below it", p.ownFunctions())
	}
}

func functionTable(b *strings.Builder, title string, functions []share) {
	fmt.Fprintf(b, "\n| %s | alone | with all it called |\n| --- | ---: | ---: |\n", title)
	for _, s := range functions {
		fmt.Fprintf(b, "| `%s` | %.1f %% | %.1f %% |\n", strings.TrimPrefix(s.name, module), 100*s.alone, 100*s.in)
	}
}

// ownFunctions are those of ours with the most below them. Of a chain in which
// each only calls the next, the last stands for all.
func (p profiled) ownFunctions() []share {
	own := slices.DeleteFunc(slices.Clone(p.functions), func(s share) bool { return !strings.HasPrefix(s.name, module) })
	slices.SortFunc(own, func(a, b share) int { return cmp.Or(cmp.Compare(b.in, a.in), cmp.Compare(a.above, b.above)) })
	own = slices.CompactFunc(own, func(a, b share) bool { return a.in == b.in })
	return own[:min(16, len(own))]
}

// sentences say the same in words.
func (p profiled) sentences() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of samples, %.0f µs of weir's CPU a statement. By what the processor did: ", p.total.Round(10*time.Millisecond), p.perOp)
	b.WriteString(list(p.kinds, 6) + ". ")
	own, machinery := 0.0, 0.0
	for _, s := range p.owners {
		switch {
		case strings.HasPrefix(s.name, "weir: "):
			own += s.alone
		case strings.HasPrefix(s.name, "Go: ") || s.name == "grpc-go":
			machinery += s.alone
		}
	}
	fmt.Fprintf(&b, "weir's own packages take %.0f %%, grpc-go and Go's runtime beside them %.0f %%; the largest are %s.", 100*own, 100*machinery, list(p.owners, 5))
	return b.String()
}

func list(shares []share, most int) string {
	var out []string
	for _, s := range shares[:min(most, len(shares))] {
		out = append(out, fmt.Sprintf("%s %.0f %%", s.name, 100*s.alone))
	}
	return strings.Join(out, ", ")
}
