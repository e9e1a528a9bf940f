package classify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/classification"
)

// State says how a guess stands to the present classification.
type State string

// The states.
const (
	New        State = "new"        // it has no class
	Classified State = "classified" // it has the class
	Differs    State = "differs"    // it has classes, and not the one guessed
	Harmless   State = "harmless"   // somebody looked at it: it has an empty list
)

// Finding is a column, or a JSON path, that looks sensitive.
type Finding struct {
	Column     string     `json:"column,omitempty"` // schema.table.column as the classification writes it; "" for HTTP
	Path       string     `json:"path,omitempty"`   // JSONPath in the column, or in the bodies of an HTTP target
	Type       string     `json:"type,omitempty"`
	Classes    []string   `json:"classes"`
	Confidence Confidence `json:"confidence"`
	Evidence   []Evidence `json:"evidence"`
	Present    []string   `json:"present"` // classes that it has
	State      State      `json:"state"`

	column *Column
}

// Name is the column and the path.
func (f *Finding) Name() string { return strings.TrimSpace(f.Column + " " + f.Path) }

// Why is the evidence in one line.
func (f *Finding) Why() string {
	texts := make([]string, 0, len(f.Evidence))
	for _, e := range f.Evidence {
		texts = append(texts, e.Text)
	}
	return strings.Join(texts, "; ")
}

// Passage is a detector that found something in texts.
type Passage struct {
	Detector   string     `json:"detector"`
	Class      string     `json:"class"`
	Confidence Confidence `json:"confidence"`
	In         []Finding  `json:"in"`      // where; their classes are empty
	Present    bool       `json:"present"` // the classification has the detector already
}

// Dead is a line of the classification that no column matches.
type Dead struct {
	Line   int    `json:"line"`
	Column string `json:"column"`
}

// Note says what could not be looked at, or only in part.
type Note struct {
	Table string `json:"table,omitempty"`
	Text  string `json:"text"`
}

// Report is what was found at one target.
type Report struct {
	Target    string            `json:"target"`
	Database  string            `json:"database,omitempty"`
	Sample    int               `json:"sample"` // rows that were asked for of a table; 0: names only
	Findings  []Finding         `json:"findings"`
	Detect    []Passage         `json:"detect"`
	Dead      []Dead            `json:"dead"`
	Notes     []Note            `json:"notes"`
	Inventory map[string]string `json:"inventory,omitempty"` // all columns, with their types
	Changes   *Changes          `json:"changes,omitempty"`   // since an earlier report
}

// Unclassified are the findings without a class that are at least that sure.
func (r *Report) Unclassified(least Confidence) []Finding {
	var out []Finding
	for _, f := range r.Findings {
		if f.State == New && f.Confidence.AtLeast(least) {
			out = append(out, f)
		}
	}
	return out
}

// Undetected are the detectors that found something, that sure, and are not asked for.
func (r *Report) Undetected(least Confidence) []Passage {
	var out []Passage
	for _, p := range r.Detect {
		if !p.Present && p.Confidence.AtLeast(least) {
			out = append(out, p)
		}
	}
	return out
}

// Known is the present classification.
type Known = *classification.Classification

// dead finds the lines that name this target and no column of it.
func (c *Catalog) dead(target string, known Known) []Dead {
	out := []Dead{}
	for _, l := range known.Lines(target) {
		if !slices.ContainsFunc(c.Tables, func(t *Table) bool {
			return slices.ContainsFunc(t.Columns, func(col *Column) bool { return l.Matches(t.Schema, t.Name, col.Name) })
		}) {
			out = append(out, Dead{Line: l.Number, Column: classification.ColumnName(l.Schema, l.Table, l.Column)})
		}
	}
	return out
}

func (c *Catalog) inventory() map[string]string {
	out := map[string]string{}
	for _, t := range c.Tables {
		for _, col := range t.Columns {
			out[col.String()] = col.Type
		}
	}
	return out
}

// String is the column's name as the classification writes it.
func (c *Column) String() string {
	return classification.ColumnName(c.Table.Schema, c.Table.Name, c.Name)
}

func (t *Table) String() string { return t.Schema + "." + t.Name }

// stateOf compares what is guessed with what is there.
func stateOf(classes, present []string, harmless bool) State {
	switch {
	case len(present) > 0 && slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(present, c) }):
		return Classified
	case len(present) > 0:
		return Differs
	case harmless:
		return Harmless
	}
	return New
}

// order sorts findings by name, a column before what is in it.
func order(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Column, b.Column), strings.Compare(a.Path, b.Path))
	})
}
