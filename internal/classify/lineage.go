package classify

import (
	"context"
	"slices"

	"github.com/weir-gateway/weir/internal/classification"
)

// lineage looks at the columns of views and at generated ones. What is made from a column
// with a class needs no line of its own: classes follow. What a view calls a column tells
// about that column; what cannot be traced is judged by its name.
func (p *proposer) lineage(ctx context.Context) error {
	if p.options.Lineage == nil {
		return nil
	}
	for _, t := range p.tables() {
		view := t.Kind == "v" || t.Kind == "m"
		if !view && !slices.ContainsFunc(t.Columns, func(c *Column) bool { return c.Generated }) {
			continue
		}
		origins, err := p.options.Lineage(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.note(t, "what its columns are made from is not known: "+err.Error())
		}
		for _, c := range t.Columns {
			if !view && !c.Generated || c.Inherited {
				continue
			}
			i := slices.IndexFunc(origins, func(o Origin) bool { return o.Column == c.Name })
			if i < 0 {
				p.unknown(c)
				continue
			}
			p.derived(c, &origins[i])
		}
	}
	return nil
}

// derived judges a column that is made from others.
func (p *proposer) derived(c *Column, o *Origin) {
	var base []*Column
	for _, s := range o.From {
		from := p.seen[classification.ColumnName(s.Schema, s.Table, s.Column)]
		if from == nil || from == c {
			continue
		}
		if len(p.by[from]) > 0 || len(p.present(from, "")) > 0 {
			return
		}
		if from.Table.Kind != "v" && from.Table.Kind != "m" && !from.Inherited {
			base = append(base, from)
		}
	}
	if o.Opaque {
		p.unknown(c)
	}
	if !o.Direct || len(base) == 0 {
		return
	}
	of := base[0]
	guesses := judge(subject{name: c.Name, people: p.aboutPeople(c), family: of.family, sampled: p.sampled[of], values: p.values[of]})
	for i := range guesses {
		for j := range guesses[i].evidence {
			if e := &guesses[i].evidence[j]; e.Kind == "name" {
				e.Kind, e.Text = "view", c.Table.String()+" calls it "+quoted(clean(c.Name))
			}
		}
		if guesses[i].confidence == High {
			guesses[i].confidence = Medium
		}
	}
	p.add(of, "", guesses)
}

// unknown judges a column by its name and comment alone.
func (p *proposer) unknown(c *Column) {
	p.add(c, "", judge(subject{name: c.Name, comment: c.comment, people: p.aboutPeople(c), family: c.family}))
}
