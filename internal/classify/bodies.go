package classify

import (
	"fmt"
	"io"
)

// Body is a JSON document, or several, of an HTTP target.
type Body struct {
	Name string
	Read io.Reader
}

// Bodies proposes classes for JSON paths, from documents that an HTTP target has answered.
func Bodies(target string, bodies []Body, known Known) (*Report, error) {
	r := &Report{Target: target, Findings: []Finding{}, Detect: []Passage{}, Dead: []Dead{}, Notes: []Note{}}
	var d documents
	for _, b := range bodies {
		if err := d.add(b.Read, false); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
	}
	if d.full {
		r.Notes = append(r.Notes, Note{Text: fmt.Sprintf("there are more than %d paths; the others were left out", maxPaths)})
	}
	if d.keyed {
		r.Notes = append(r.Notes, Note{Text: "there are values that no path can name: keys that are values themselves, or documents that are one value"})
	}
	for _, path := range d.paths {
		l := d.leaves[path]
		guesses := judge(subject{name: l.key, people: l.people, family: text, sampled: true, values: &l.values})
		f := Finding{Path: path, Present: presentAt(target, path, known), Classes: []string{}, Evidence: []Evidence{}}
		harmless := known.HarmlessPath(target, path)
		if len(guesses) == 0 {
			if f.State = New; !harmless && len(f.Present) == 0 {
				r.passages(f, &l.values, known.Detectors(target))
			}
			continue
		}
		f.Confidence = guesses[0].confidence
		for _, g := range guesses {
			f.Classes = append(f.Classes, g.class)
			f.Evidence = append(f.Evidence, g.evidence...)
		}
		f.State = stateOf(f.Classes, f.Present, harmless)
		r.Findings = append(r.Findings, f)
	}
	order(r.Findings)
	return r, nil
}
