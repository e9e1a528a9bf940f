package classify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/detect"
)

// Options say how a database is looked at.
type Options struct {
	Target string
	// Sample is how many rows of a table are looked at; 0 looks at names only.
	Sample int
	// Timeout bounds a statement at the server.
	Timeout time.Duration
	// Schemas are the ones that are looked at; all where there are none.
	Schemas []string
	// Lineage says what the columns of a view, or of a table with generated columns, are
	// made from. It is asked for those only.
	Lineage func(context.Context, *Table) ([]Origin, error)
	// Progress is told how many tables of how many were looked at.
	Progress func(done, of int)
}

// Origin is what a column is made from.
type Origin struct {
	Column string
	Direct bool // it is a column as it stands
	Opaque bool // it may be made from anything
	From   []Source
}

// Source is a column of the catalog.
type Source struct{ Schema, Table, Column string }

// proposer collects findings.
type proposer struct {
	options Options
	catalog *Catalog
	known   Known
	report  *Report
	by      map[*Column][]int // of report.Findings
	values  map[*Column]*values
	sampled map[*Column]bool
	seen    map[string]*Column
}

// Database proposes classes for the columns of a database. It only reads, in transactions
// of one table each.
func Database(ctx context.Context, conn *pgx.Conn, known Known, o Options) (*Report, error) {
	c, err := ReadCatalog(ctx, conn)
	if err != nil {
		return nil, err
	}
	p := &proposer{
		options: o, catalog: c, known: known, by: map[*Column][]int{}, values: map[*Column]*values{}, sampled: map[*Column]bool{}, seen: map[string]*Column{},
		report: &Report{
			Target: o.Target, Database: c.Database, Sample: o.Sample, Findings: []Finding{}, Detect: []Passage{}, Notes: []Note{},
			Dead: c.dead(o.Target, known), Inventory: c.inventory(),
		},
	}
	for _, t := range c.Tables {
		for _, col := range t.Columns {
			p.seen[col.String()] = col
		}
	}
	tables := p.tables()
	for i, t := range tables {
		if err := p.table(ctx, conn, t); err != nil {
			return nil, fmt.Errorf("reading %s: %w", t, err)
		}
		if o.Progress != nil {
			o.Progress(i+1, len(tables))
		}
	}
	p.names()
	p.follow()
	if err := p.lineage(ctx); err != nil {
		return nil, err
	}
	order(p.report.Findings)
	return p.report, nil
}

// tables are the ones that are looked at.
func (p *proposer) tables() []*Table {
	return slices.DeleteFunc(slices.Clone(p.catalog.Tables), func(t *Table) bool {
		return len(p.options.Schemas) > 0 && !slices.Contains(p.options.Schemas, t.Schema)
	})
}

func (p *proposer) note(t *Table, text string) {
	p.report.Notes = append(p.report.Notes, Note{Table: t.String(), Text: text})
}

// table looks at a table's own columns.
func (p *proposer) table(ctx context.Context, conn *pgx.Conn, t *Table) error {
	if t.Kind == "v" || t.Kind == "m" || !slices.ContainsFunc(t.Columns, (*Column).isOwn) {
		return nil
	}
	got := &sample{}
	switch {
	case p.options.Sample == 0:
	case t.Kind == "f":
		p.note(t, "what is on another server was not read")
	default:
		s := sampler{conn: conn, catalog: p.catalog, rows: p.options.Sample, timeout: p.options.Timeout}
		var err error
		if got, err = s.table(ctx, t); err != nil {
			return err
		}
		for _, n := range got.notes {
			p.note(t, n)
		}
	}
	for _, c := range t.Columns {
		if c.isOwn() {
			p.column(c, got)
		}
	}
	return nil
}

// column judges one column and what is in it.
func (p *proposer) column(c *Column, got *sample) {
	v, d := got.values[c], got.documents[c]
	p.values[c], p.sampled[c] = v, v != nil && got.rows > 0
	guesses := judge(subject{
		name: c.Name, comment: c.comment, people: p.aboutPeople(c), family: c.family, sampled: p.sampled[c], values: v,
	})
	p.add(c, "", guesses)
	if d != nil {
		p.inDocuments(c, d)
	}
	if len(guesses) == 0 && v != nil {
		p.passages(c, "", v)
	}
}

func (p *proposer) aboutPeople(c *Column) bool { return aboutPeople(c.Table.Name, c.Table.Schema) }

// inDocuments judges the paths of a column of JSON.
func (p *proposer) inDocuments(c *Column, d *documents) {
	if d.full {
		p.note(c.Table, fmt.Sprintf("%s has more than %d paths; the others were left out", c.Name, maxPaths))
	}
	if d.keyed {
		p.note(c.Table, c.Name+" has values that no path can name: keys that are values themselves, or documents that are one value")
	}
	for _, path := range d.paths {
		l := d.leaves[path]
		guesses := judge(subject{name: l.key, people: l.people, family: text, sampled: true, values: &l.values})
		p.add(c, path, guesses)
		if len(guesses) == 0 {
			p.passages(c, path, &l.values)
		}
	}
}

// add notes what was guessed.
func (p *proposer) add(c *Column, path string, guesses []guess) {
	if len(guesses) == 0 {
		return
	}
	f := Finding{Column: c.String(), Path: path, Type: c.Type, Confidence: guesses[0].confidence, column: c}
	for _, g := range guesses {
		f.Classes = append(f.Classes, g.class)
		for _, e := range g.evidence {
			if !slices.Contains(f.Evidence, e) {
				f.Evidence = append(f.Evidence, e)
			}
		}
	}
	p.put(f)
}

// put adds a finding with what the classification says of it.
func (p *proposer) put(f Finding) {
	c := f.column
	f.Present = p.present(c, f.Path)
	f.State = stateOf(f.Classes, f.Present, p.known.Harmless(p.options.Target, c.Table.Schema, c.Table.Name, c.Name))
	p.by[c] = append(p.by[c], len(p.report.Findings))
	p.report.Findings = append(p.report.Findings, f)
}

// present are the classes that a column has, or what is at a path in it.
func (p *proposer) present(c *Column, _ string) []string {
	classes := p.known.Column(p.options.Target, c.Table.Schema, c.Table.Name, c.Name)
	if classes == nil {
		classes = []string{}
	}
	return classes
}

// passages notes what detectors found in a part of values that are nothing as a whole.
func (p *proposer) passages(c *Column, path string, v *values) {
	if p.known.Harmless(p.options.Target, c.Table.Schema, c.Table.Name, c.Name) || len(p.present(c, path)) > 0 {
		return
	}
	f := Finding{Column: c.String(), Path: path, Type: c.Type, Classes: []string{}, Present: []string{}, State: New, column: c}
	p.report.passages(f, v, p.known.Detectors(p.options.Target))
}

// surely is how many values with something in them make it no accident.
const surely = 3

// passages adds what detectors found in the values at f.
func (r *Report) passages(f Finding, v *values, present []detect.Asked) {
	for d := range detect.Detector(detect.Count) {
		n := v.inside[d]
		for i, c := range checks {
			if c.pass == nil && c.finds == d && v.text() { // some whole values among texts
				n += v.whole[i].rows
			}
		}
		if n == 0 {
			continue
		}
		f.Confidence = Low
		if n >= surely {
			f.Confidence = Medium
		}
		f.Evidence = []Evidence{{Kind: "values", Text: fmt.Sprintf("%s found in %d of %d values", d, n, v.seen), Matched: n, Of: v.seen}}
		i := slices.IndexFunc(r.Detect, func(p Passage) bool { return p.Detector == d.String() })
		if i < 0 {
			i = len(r.Detect)
			r.Detect = append(r.Detect, Passage{Detector: d.String(), Class: d.Class(), Confidence: f.Confidence, Present: slices.ContainsFunc(present, func(a detect.Asked) bool { return a.Detector == d })})
		}
		r.Detect[i].In = append(r.Detect[i].In, f)
		if f.Confidence.AtLeast(r.Detect[i].Confidence) {
			r.Detect[i].Confidence = f.Confidence
		}
	}
}

// known classes of a column: what it has, or else what was guessed for it as a whole.
func (p *proposer) classes(c *Column) (classes []string, sure Confidence) {
	if classes = p.known.Column(p.options.Target, c.Table.Schema, c.Table.Name, c.Name); len(classes) > 0 {
		return classes, High
	}
	for _, i := range p.by[c] {
		if f := &p.report.Findings[i]; f.Path == "" {
			return f.Classes, f.Confidence
		}
	}
	return nil, ""
}

// everyday names say nothing where another column of that name is classified.
var everyday = set(`id name code type status state value key data description title number no date created updated version label text note notes
	comment comments content body category amount total price quantity country language currency position url path kind level start end ref
	reference uuid active enabled deleted metadata payload settings options config parent source target`)

// names proposes what a column of the same name and sort is classified as, or looks like,
// elsewhere: copies of tables are forgotten easily.
func (p *proposer) names() {
	type like struct {
		name string
		family
	}
	first := map[like]*Column{}
	for _, t := range p.catalog.Tables {
		for _, c := range t.Columns {
			if _, sure := p.classes(c); sure.AtLeast(Medium) && telling(c.Name) {
				if k := (like{strings.ToLower(c.Name), c.family}); first[k] == nil {
					first[k] = c
				}
			}
		}
	}
	for _, t := range p.tables() {
		for _, c := range t.Columns {
			other := first[like{strings.ToLower(c.Name), c.family}]
			if known, _ := p.classes(c); known != nil || other == nil || !c.isOwn() || t.Kind == "v" || t.Kind == "m" {
				continue
			}
			if classes, _ := p.classes(other); !contradicts(classes, p.values[c]) {
				p.put(Finding{
					Column: c.String(), Type: c.Type, Classes: classes, Confidence: Medium, column: c,
					Evidence: []Evidence{{Kind: "same_name", Text: "has the name of " + other.String() + " (" + strings.Join(classes, ", ") + ")"}},
				})
			}
		}
	}
}

// telling says that a name means the same in every table.
func telling(name string) bool {
	w, known := lookUp(strings.Join(tokens(name), ""))
	return !everyday[strings.ToLower(name)] && (!known || !w.people)
}

// contradicts says that values are none of such classes, as far as that can be checked.
func contradicts(classes []string, v *values) bool {
	if v == nil || len(v.distinct) < enough {
		return false
	}
	for _, class := range classes {
		if best, _ := (&guess{class: class}).prove(v, int(weak)); !checkable[class] || best >= few {
			return false
		}
	}
	return true
}

// follow takes classes along foreign keys, both ways: both columns hold the same values.
func (p *proposer) follow() {
	for changed := true; changed; {
		changed = false
		for _, t := range p.tables() {
			for _, c := range t.Columns {
				for _, r := range c.refers {
					if other := p.catalog.column(r); other != nil {
						changed = p.take(c, other, "refers to ") || changed
						changed = p.take(other, c, "is referred to by ") || changed
					}
				}
			}
		}
	}
}

// take gives a column without a class those of another, and says whether it did.
func (p *proposer) take(to, from *Column, how string) bool {
	classes, sure := p.classes(from)
	if known, _ := p.classes(to); known != nil || !sure.AtLeast(Medium) || to.Inherited {
		return false
	}
	p.put(Finding{
		Column: to.String(), Type: to.Type, Classes: classes, Confidence: sure, column: to,
		Evidence: []Evidence{{Kind: "foreign_key", Text: how + from.String() + " (" + strings.Join(classes, ", ") + ")"}},
	})
	return true
}
