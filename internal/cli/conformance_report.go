package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/conformance"
)

// print completes a report and prints it.
func (c *conformanceCmd) print(e *env, r conformance.Report, findings []conformance.Finding) error {
	r.Families, r.Findings = conformance.Table(findings), conformance.Bad(findings)
	r.Total, r.Shapes = conformance.Total(r.Families).Count, conformance.Shapes(findings)
	if c.json() {
		return writeJSON(e.Out, r)
	}
	var rows [][]string
	for _, f := range append(r.Families, conformance.Total(r.Families)) {
		rows = append(rows, counts(f.Family, f.Count))
	}
	if err := table(e.Out, append([]string{"FAMILY"}, verdicts()...), rows); err != nil {
		return err
	}
	answered := r.Total[conformance.Masked] + r.Total[conformance.Same]
	ok, refused, failed := conformance.Fate(findings)
	e.printf("\n%d shapes, sent %d times: %d answered, %d refused (42501), %d failed otherwise.", len(r.Shapes), len(findings), ok, refused, failed)
	switch bad := conformance.Bad(findings); {
	case len(bad) > 0:
		e.printf(" In each shape the worst that was found:\n\n")
		return table(e.Out, []string{"VERDICT", "SHAPE", "SENT AS", "WHAT SHOWED", "STATEMENT"}, grouped(bad))
	case answered == 0:
		e.printf(" Nothing was answered: that says little of masks.\n")
	default:
		e.printf(" Nothing bad was found.\n")
	}
	return nil
}

func verdicts() []string {
	var all []string
	for _, v := range conformance.Verdicts {
		all = append(all, strings.ToUpper(string(v)))
	}
	return all
}

func counts(name string, count map[conformance.Verdict]int) []string {
	row := []string{name}
	for _, v := range conformance.Verdicts {
		row = append(row, fmt.Sprint(count[v]))
	}
	return row
}

// grouped are findings as rows, one for each shape: with its worst, and all forms in
// which it showed something.
func grouped(bad []conformance.Finding) [][]string {
	worst := conformance.Shapes(bad)
	sent := map[string][]string{}
	for _, f := range bad {
		sent[f.ID] = append(sent[f.ID], f.Via)
	}
	var rows [][]string
	for _, f := range bad {
		if forms := sent[f.ID]; f.Verdict == worst[f.ID] && forms != nil {
			rows = append(rows, []string{string(f.Verdict), f.ID, strings.Join(forms, ", "), f.Why, f.SQL})
			sent[f.ID] = nil
		}
	}
	return rows
}

// compare prints what differs between reports.
func (c *conformanceCmd) compare(e *env) error {
	var reports []conformance.Report
	for _, name := range c.Compare {
		text, err := os.ReadFile(name)
		if err != nil {
			return notRun{err}
		}
		var r conformance.Report
		if err := json.Unmarshal(text, &r); err != nil || len(r.Shapes) == 0 {
			return notRun{fmt.Errorf("%s is no report of weir conformance -o json", name)}
		}
		reports = append(reports, r)
	}
	if len(reports) < 2 {
		return notRun{fmt.Errorf("compare %s with what? Name two reports or more: --compare ours.json,theirs.json", c.Compare[0])}
	}
	differences, worse := conformance.Compare(reports)
	if c.json() {
		if err := writeJSON(e.Out, differences); err != nil {
			return err
		}
	} else if err := c.printCompared(e, reports, differences); err != nil {
		return err
	}
	if worse {
		return reported{fmt.Errorf("worse than %s", c.Compare[0])}
	}
	return nil
}

func (c *conformanceCmd) printCompared(e *env, reports []conformance.Report, differences []conformance.Difference) error {
	var rows [][]string
	for i, r := range reports {
		rows = append(rows, counts(c.Compare[i], r.Total))
	}
	if err := table(e.Out, append([]string{"REPORT"}, verdicts()...), rows); err != nil {
		return err
	}
	if len(differences) == 0 {
		e.printf("\nNo shape differs.\n")
		return nil
	}
	rows = nil
	for _, d := range differences {
		row := []string{d.Shape}
		for _, v := range d.Verdicts {
			if v == "" {
				v = "-"
			}
			row = append(row, string(v))
		}
		rows = append(rows, row)
	}
	e.printf("\n")
	return table(e.Out, append([]string{"SHAPE"}, slices.Clone(c.Compare)...), rows)
}
