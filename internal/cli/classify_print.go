package cli

import (
	"strings"

	"github.com/weir-gateway/weir/internal/classify"
)

// print prints a report in the form that was asked for.
func (c *classifyCmd) print(e *env, r *classify.Report) error {
	switch c.Output {
	case "json":
		return writeJSON(e.Out, r)
	case "yaml":
		add := r.Lines(c.least())
		e.printf("%s", add.Text())
		return nil
	}
	var rows [][]string
	low, classified, harmless := 0, 0, 0
	for _, f := range r.Findings {
		switch {
		case f.State == classify.Harmless:
			harmless++
			continue
		case !f.Confidence.AtLeast(c.least()):
			low++
			continue
		case f.State == classify.Classified:
			classified++
		}
		rows = append(rows, []string{f.Name(), strings.Join(f.Classes, ", "), string(f.Confidence), orDash(strings.Join(f.Present, ", ")), f.Why()})
	}
	if len(rows) > 0 {
		if err := table(e.Out, []string{"COLUMN", "LOOKS LIKE", "CONFIDENCE", "CLASSIFIED", "EVIDENCE"}, rows); err != nil {
			return err
		}
	}
	if err := c.printPassages(e, r); err != nil {
		return err
	}
	printRest(e, r)
	e.printf("\n%d not classified, %d classified", len(r.Unclassified(c.least())), classified)
	if harmless > 0 {
		e.printf(", %d said not to be sensitive", harmless)
	}
	if low > 0 {
		e.printf(", %d less sure (--min-confidence low shows them)", low)
	}
	e.printf("\n")
	return nil
}

func (c *classifyCmd) printPassages(e *env, r *classify.Report) error {
	var rows [][]string
	for _, p := range r.Detect {
		for _, f := range p.In {
			if f.Confidence.AtLeast(c.least()) {
				present := "-"
				if p.Present {
					present = "detect"
				}
				rows = append(rows, []string{f.Name(), "detect: " + p.Detector, string(f.Confidence), present, f.Why()})
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	e.printf("\nIn texts:\n")
	return table(e.Out, []string{"COLUMN", "LOOKS LIKE", "CONFIDENCE", "CLASSIFIED", "EVIDENCE"}, rows)
}

// printRest prints what is no finding: lines for nothing, what could not be read, changes.
func printRest(e *env, r *classify.Report) {
	if len(r.Dead) > 0 {
		e.printf("\nLines of the classification that name no column:\n")
		for _, d := range r.Dead {
			e.printf("  line %d: %s\n", d.Line, oneLine(d.Column))
		}
	}
	if len(r.Notes) > 0 {
		e.printf("\nNot looked at, or only in part:\n")
		for _, n := range r.Notes {
			e.printf("  %s\n", wholeLine(strings.TrimPrefix(n.Table+": "+n.Text, ": ")))
		}
	}
	if r.Changes != nil {
		printChanges(e, r.Changes)
	}
}

func printChanges(e *env, c *classify.Changes) {
	e.printf("\nSince the earlier report:\n")
	if c.None() {
		e.printf("  nothing has changed\n")
	}
	for _, part := range []struct {
		what  string
		names []string
	}{
		{"new column", c.NewColumns}, {"gone column", c.GoneColumns}, {"other type", c.RetypedColumns},
		{"looks sensitive now", c.NewFindings}, {"looks sensitive no more", c.GoneFindings},
	} {
		for _, n := range part.names {
			e.printf("  %s: %s\n", part.what, wholeLine(n))
		}
	}
	for _, change := range c.Changed {
		e.printf("  changed: %s\n    was %s\n    is  %s\n", wholeLine(change.Name), wholeLine(change.Before), wholeLine(change.Now))
	}
}

// wholeLine is a text that was written by strangers, as one line, however long.
func wholeLine(text string) string { return printable(strings.Join(strings.Fields(text), " ")) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
