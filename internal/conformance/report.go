package conformance

import "slices"

// Row counts the verdicts of one family.
type Row struct {
	Family string          `json:"family"`
	Count  map[Verdict]int `json:"count"`
}

// Table counts findings by family. A shape counts once, with the worst that it has
// shown in any form.
func Table(findings []Finding) []Row {
	worst := map[string]Finding{}
	var order []string
	for _, f := range findings {
		before, ok := worst[f.ID]
		if !ok {
			order = append(order, f.ID)
		}
		if !ok || rank(f.Verdict) > rank(before.Verdict) {
			worst[f.ID] = f
		}
	}
	var rows []Row
	for _, id := range order {
		f := worst[id]
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Family == f.Shape.Family })
		if i < 0 {
			i = len(rows)
			rows = append(rows, Row{f.Shape.Family, map[Verdict]int{}})
		}
		rows[i].Count[f.Verdict]++
	}
	return rows
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
