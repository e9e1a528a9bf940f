package conformance

import (
	"maps"
	"slices"
)

// Row counts the verdicts of one family.
type Row struct {
	Family string          `json:"family"`
	Count  map[Verdict]int `json:"count"`
}

// worst is of each shape the finding that it counts with, in order.
func worst(findings []Finding) []Finding {
	at := map[string]int{}
	var all []Finding
	for _, f := range findings {
		i, ok := at[f.ID]
		switch {
		case !ok:
			at[f.ID] = len(all)
			all = append(all, f)
		case rank(f.Verdict) > rank(all[i].Verdict):
			all[i] = f
		}
	}
	return all
}

// Table counts findings by family. A shape counts once, with the worst that it has
// shown in any form.
func Table(findings []Finding) []Row {
	var rows []Row
	for _, f := range worst(findings) {
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Family == f.Shape.Family })
		if i < 0 {
			i = len(rows)
			rows = append(rows, Row{f.Shape.Family, map[Verdict]int{}})
		}
		rows[i].Count[f.Verdict]++
	}
	return rows
}

// Total adds the rows of a table.
func Total(rows []Row) Row {
	total := Row{"all", map[Verdict]int{}}
	for _, r := range rows {
		for v, n := range r.Count {
			total.Count[v] += n
		}
	}
	return total
}

// Shapes are the verdicts by shape, so that two reports can be compared.
func Shapes(findings []Finding) map[string]Verdict {
	all := map[string]Verdict{}
	for _, f := range worst(findings) {
		all[f.ID] = f.Verdict
	}
	return all
}

// Report is what a run has shown, as JSON.
type Report struct {
	Target   string             `json:"target"` // host, port and database
	Version  string             `json:"version"`
	Complete bool               `json:"complete"` // false: it ended before all was played
	Seeds    []uint64           `json:"seeds,omitempty"`
	Families []Row              `json:"families"`
	Total    map[Verdict]int    `json:"total"`
	Findings []Finding          `json:"findings"`
	Shapes   map[string]Verdict `json:"shapes"`
}

// Difference is a shape of which two or more reports say different verdicts.
type Difference struct {
	Shape    string    `json:"shape"`
	Verdicts []Verdict `json:"verdicts"` // by report; "" where it was not played
}

// Compare says where reports differ, and whether one is worse in any shape than the
// first: bad where the first is good, or worse among the bad.
func Compare(reports []Report) (all []Difference, worse bool) {
	ids := map[string]bool{}
	for _, r := range reports {
		for id := range r.Shapes {
			ids[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		d := Difference{Shape: id}
		for _, r := range reports {
			v := r.Shapes[id]
			d.Verdicts = append(d.Verdicts, v)
			first := d.Verdicts[0]
			worse = worse || v != "" && first != "" && v.Bad() && rank(v) > rank(first)
		}
		if len(slices.Compact(slices.Clone(d.Verdicts))) > 1 {
			all = append(all, d)
		}
	}
	return all, worse
}

// Fate is how many answers came, were refused for want of a right (SQLSTATE 42501: by
// the gateway), and failed otherwise: in the server.
func Fate(findings []Finding) (answered, refused, failed int) {
	const privilege = "42501"
	for _, f := range findings {
		switch f.Code {
		case "":
			answered++
		case privilege:
			refused++
		default:
			failed++
		}
	}
	return answered, refused, failed
}

func rank(v Verdict) int { return slices.Index(Verdicts, v) }

// Bad are the findings against the gateway.
func Bad(findings []Finding) []Finding {
	var bad []Finding
	for _, f := range findings {
		if f.Verdict.Bad() {
			bad = append(bad, f)
		}
	}
	return bad
}
