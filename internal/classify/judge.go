package classify

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Confidence is how sure a guess is.
type Confidence string

// The confidences.
const (
	Low    Confidence = "low"
	Medium Confidence = "medium"
	High   Confidence = "high"
)

var confidences = []Confidence{"", Low, Medium, High}

// AtLeast says whether it is as sure as another, or more.
func (c Confidence) AtLeast(other Confidence) bool {
	return slices.Index(confidences, c) >= slices.Index(confidences, other)
}

// Evidence is one reason of a guess. It never holds a value.
type Evidence struct {
	// What it rests on: name, comment, values, shape, type, foreign_key, same_name, and
	// values_differ, which speaks against.
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Of values: how many of how many.
	Matched int `json:"matched,omitempty"`
	Of      int `json:"of,omitempty"`
}

// guess is a class with its reasons.
type guess struct {
	class      string
	confidence Confidence
	evidence   []Evidence
}

// subject is what is judged: a column, or a path in JSON.
type subject struct {
	name, comment string
	people        bool // it stands in a table, or below a key, about people
	family        family
	sampled       bool // values were read, if there were any
	values        *values
}

// judge guesses what classes a subject should have, the surest first; none where nothing
// speaks for any.
func judge(s subject) []guess {
	byName, named := read(s.name, s.people)
	if named && !fits(byName.class, s.family) {
		named = false
	}
	said, commented := readComment(s.comment)
	if commented && !fits(said.class, s.family) {
		commented = false
	}
	var out []guess
	for _, class := range candidates(byName, named, said, commented, s.values) {
		g := guess{class: class}
		level := 0
		if named && byName.class == class {
			level = int(byName.strength)
			g.note("name", "name matches "+quoted(byName.words))
		}
		if commented && said.class == class {
			level = max(level, int(said.strength))
			g.note("comment", "comment says "+quoted(said.words))
		}
		if g.confidence = g.weigh(level, s); g.confidence != "" {
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b guess) int {
		return slices.Index(confidences, b.confidence) - slices.Index(confidences, a.confidence)
	})
	return strongest(out)
}

// strongest drops the guesses that are less sure than the first, unless values prove them
// too: a column of contacts may hold emails and phone numbers.
func strongest(all []guess) []guess {
	return slices.DeleteFunc(all, func(g guess) bool {
		return g.confidence != all[0].confidence && !slices.ContainsFunc(g.evidence, func(e Evidence) bool { return e.Kind == "values" && g.confidence != Low })
	})
}

func (g *guess) note(kind, text string) {
	g.evidence = append(g.evidence, Evidence{Kind: kind, Text: text})
}

// candidates are the classes that anything speaks for.
func candidates(byName meaning, named bool, said meaning, commented bool, v *values) []string {
	var out []string
	add := func(class string) {
		if !slices.Contains(out, class) {
			out = append(out, class)
		}
	}
	if named {
		add(byName.class)
	}
	if commented {
		add(said.class)
	}
	if v != nil {
		for i, c := range checks {
			if c.alone && v.whole[i].rows > 0 {
				add(c.class)
			}
		}
	}
	return out
}

const (
	most = .8 // of the values, so that the column is of a kind
	some = .05
	few  = .2 // of the values of a checkable class, below which the name is not believed
	// certain is the logarithm of how unlikely it is that values pass by accident.
	certain = 6
	// enough different values say something when none of them passes.
	enough = 10
	// several different values, so that a part of a column is of a kind.
	several = 3
)

// weigh weighs a name's level, from 0 to 3, with what the values say.
func (g *guess) weigh(level int, s subject) Confidence {
	v := s.values
	if v == nil || v.seen == 0 {
		if s.sampled {
			g.note("values", "no values to look at")
		}
		return confidences[min(level, int(plain))]
	}
	best, proof := g.prove(v, level)
	switch {
	case proof == High:
		return High
	case level == 0:
		return proof
	case checkable[g.class] && len(v.distinct) >= enough && best < few:
		if proof == "" {
			g.evidence = append(g.evidence, Evidence{Kind: "values_differ", Text: fmt.Sprintf("but the values look like something else (or are encrypted): %d of %d pass", int(best*float64(v.seen)+.5), v.seen), Of: v.seen})
		}
		if level == int(strong) || proof != "" {
			return Low
		}
		return ""
	}
	if shape := v.commonShape(); shape != "" && !slices.ContainsFunc(g.evidence, func(e Evidence) bool { return e.Kind == "values" }) {
		g.note("shape", "shape "+shape)
	}
	switch {
	case checkable[g.class] && best < most:
		return Medium
	case level == int(weak) && best >= most:
		return Medium
	case level == int(plain) && proof == Medium:
		return High
	}
	return confidences[level]
}

// prove finds what share of the values passes the best check of the class, and what that
// alone is worth.
func (g *guess) prove(v *values, level int) (best float64, proof Confidence) {
	for i, c := range checks {
		n := v.whole[i]
		if c.class != g.class || n.rows == 0 {
			continue
		}
		share := float64(n.rows) / float64(v.seen)
		certainty := -math.Log10(c.chance) * float64(n.distinct)
		var worth Confidence
		switch {
		case !c.alone && level == 0:
			continue
		case share >= most && certainty >= certain && c.alone && (c.class != phone && c.class != ip || level > 0):
			worth = High
		case share >= most && c.alone && certainty >= certain/2, share >= most && level > 0:
			worth = Medium
		case c.alone && share >= max(some, 4*c.chance) && n.distinct >= several:
			worth = Medium
		case level == 0 || share < some:
			best = max(best, share)
			continue
		}
		if share > best || best == 0 {
			best = share
		}
		if !slices.ContainsFunc(g.evidence, func(e Evidence) bool { return e.Kind == "values" && e.Matched >= n.rows }) {
			g.evidence = slices.DeleteFunc(g.evidence, func(e Evidence) bool { return e.Kind == "values" })
			g.evidence = append(g.evidence, Evidence{Kind: "values", Text: fmt.Sprintf("%d of %d values are %s", n.rows, v.seen, c.is), Matched: n.rows, Of: v.seen})
		}
		if worth.AtLeast(proof) {
			proof = worth
		}
	}
	return best, proof
}

// maxComment is how many words of a comment are read.
const maxComment = 60

// readComment finds what a comment says: strong words only, since it is prose.
func readComment(comment string) (meaning, bool) {
	words := tokens(cut(comment, maxName))
	words = words[:min(len(words), maxComment)]
	for start := range words {
		for end := min(len(words), start+mostWords); end > start; end-- {
			if w, ok := lookUp(strings.Join(words[start:end], "")); ok && w.strength == strong {
				w.strength = weak
				if len(words) <= 8 { // a label, not a story
					w.strength = plain
				}
				return meaning{w, strings.Join(words[start:end], " ")}, true
			}
		}
	}
	return meaning{}, false
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func quoted(words string) string { return `"` + words + `"` }
