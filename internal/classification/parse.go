package classification

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-gateway/weir/internal/detect"
)

// The bounds of a file.
const (
	MaxBytes   = 4 << 20 // of text
	MaxEntries = 100_000 // columns and paths together
)

// Load reads a file. What is wrong with its text is an *Error that tells every
// problem at once.
func Load(path string) (*Classification, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, fmt.Errorf("classification: %w", err)
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("classification: %w", err)
	}
	return Parse(path, text)
}

// Parse reads the text of a file; name is what errors call it. An empty text
// classifies nothing.
func Parse(name string, text []byte) (*Classification, error) {
	p := &parser{
		lines: map[string]int{},
		c: &Classification{
			columns:   map[columnKey][]string{},
			within:    map[columnKey]map[string][]string{},
			paths:     map[string][]PathClass{},
			detectors: map[string][]detect.Asked{},
			harmless:  map[columnKey]bool{},
			plain:     map[string][]string{},
		},
	}
	if len(text) > MaxBytes {
		p.problem(0, fmt.Sprintf("larger than %d MiB", MaxBytes>>20), `use "*" for a table or schema instead of a line a column`)
	} else {
		p.file(text)
	}
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, &Error{File: name, Problems: p.problems}
	}
	sum := sha256.Sum256(text)
	p.c.revision = hex.EncodeToString(sum[:])
	p.finish()
	return p.c, nil
}

// parser collects a classification and all that is wrong with its text.
type parser struct {
	c        *Classification
	lines    map[string]int // of the columns and paths already seen
	problems []Problem
}

func (p *parser) problem(line int, message, fix string) {
	p.problems = append(p.problems, Problem{Line: line, Message: message, Fix: fix})
}

// finish derives what lookups need.
func (p *parser) finish() {
	targets := map[string]bool{}
	shapes := map[shape]bool{}
	for k := range p.c.columns {
		targets[k.target] = true
		shapes[shapeOf(k)] = true
	}
	for t := range p.c.paths {
		targets[t] = true
	}
	for t, d := range p.c.detectors {
		targets[t] = targets[t] || len(d) > 0
	}
	maps.DeleteFunc(targets, func(_ string, yes bool) bool { return !yes })
	p.c.targets = slices.Sorted(maps.Keys(targets))
	p.c.shapes = slices.Sorted(maps.Keys(shapes))
}

func (p *parser) file(text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return
	case err != nil:
		p.syntax(err)
		return
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		p.problem(doc.Line, "the file holds more than one YAML document", "keep one, and remove the line ---")
		return
	}
	if root := doc.Content[0]; root.Tag != "!!null" {
		p.mapping(root, "the file", p.top)
	}
}

// syntax tells a YAML error, whose text begins "yaml: line N: ".
func (p *parser) syntax(err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1 // which the decoder leaves out
	if _, scanErr := fmt.Sscanf(message, "line %d:", &line); scanErr == nil {
		_, message, _ = strings.Cut(message, ": ")
	}
	p.problem(line, "not YAML: "+message,
		`quote a name that begins with * ("*.public.customers.ssn"), and a JSONPath with brackets inside braces`)
}

// mapping calls each for every pair of a mapping, and refuses anything else.
func (p *parser) mapping(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.problem(n.Line, what+" is not a mapping", "write lines like orders.public.customers.ssn: pii.ssn")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			p.problem(key.Line, "a key is not a plain name", "write each name out; anchors and merges are not used here")
		case value.Kind == yaml.AliasNode || value.Anchor != "" || key.Anchor != "":
			p.problem(key.Line, fmt.Sprintf("%q uses an anchor", key.Value), "write its classes out")
		default:
			each(key, value)
		}
	}
}

// top reads one pair of the file itself.
func (p *parser) top(key, value *yaml.Node) {
	if key.Value == "detect" {
		p.detect(Any, value)
		return
	}
	names, err := splitName(key.Value)
	switch {
	case err != nil:
		p.problem(key.Line, fmt.Sprintf("%q: %v", key.Value, err), `write target.schema.table.column; quote a name with a dot: orders.public."odd.name".ssn`)
	case len(names) == 4:
		p.column(columnKey{names[0].raw, names[1].folded, names[2].folded, names[3].folded}, key, value)
	case len(names) == 1 && value.Kind == yaml.MappingNode:
		target := names[0].raw
		p.mapping(value, "target "+target, func(k, v *yaml.Node) { p.inTarget(target, k, v) })
	case len(names) == 1:
		p.problem(key.Line, fmt.Sprintf("unknown key %q", key.Value),
			"write target.schema.table.column: class, a target with JSONPaths under it, or detect: [email]")
	default:
		p.problem(key.Line, fmt.Sprintf("%q has %d names, a column has 4", key.Value, len(names)), "write target.schema.table.column")
	}
}

// inTarget reads one pair of the lines under a target.
func (p *parser) inTarget(target string, key, value *yaml.Node) {
	if key.Value == "detect" {
		p.detect(target, value)
		return
	}
	if strings.HasPrefix(key.Value, "$") {
		p.path(target, key, value)
		return
	}
	names, err := splitName(key.Value)
	switch {
	case err != nil:
		p.problem(key.Line, fmt.Sprintf("%q: %v", key.Value, err), `write schema.table.column; quote a name with a dot: public."odd.name".ssn`)
	case len(names) == 3:
		p.column(columnKey{target, names[0].folded, names[1].folded, names[2].folded}, key, value)
	default:
		p.problem(key.Line, fmt.Sprintf("unknown key %q under target %q", key.Value, target),
			"write a JSONPath ($.customers[*].card), schema.table.column, or detect")
	}
}

func (p *parser) column(k columnKey, key, value *yaml.Node) {
	what := fmt.Sprintf("column %q", k)
	if isEmptyList(value) {
		if p.first(what, key) {
			p.c.harmless[k] = true
			p.c.lines = append(p.c.lines, Line{Number: key.Line, Schema: k.schema, Table: k.table, Column: k.column, target: k.target})
		}
		return
	}
	var paths map[string][]string
	var classes []string
	var ok bool
	if value.Kind == yaml.MappingNode {
		paths, classes, ok = p.within(key, value)
	} else {
		classes, ok = p.classes(key, value)
	}
	if ok && p.first(what, key) {
		p.c.columns[k] = classes
		if paths != nil {
			p.c.within[k] = paths
		}
		p.c.lines = append(p.c.lines, Line{Number: key.Line, Schema: k.schema, Table: k.table, Column: k.column, Classes: classes, target: k.target})
	}
}

// within reads the JSONPaths of a column's documents, and their classes together.
func (p *parser) within(key, value *yaml.Node) (paths map[string][]string, classes []string, ok bool) {
	paths = map[string][]string{}
	ok = len(value.Content) > 0
	if !ok {
		p.problem(key.Line, fmt.Sprintf("%q has no paths", key.Value), `write {"$.ssn": pii.ssn}, or remove the line`)
	}
	p.mapping(value, fmt.Sprintf("%q", key.Value), func(path, value *yaml.Node) {
		if err := checkPath(path.Value); err != nil {
			p.problem(path.Line, fmt.Sprintf("%q: %v", path.Value, err), "paths are made of .name, ..name, [*] and ['any name'], like $.customers[*].card")
			ok = false
			return
		}
		of, good := p.classes(path, value)
		if ok = ok && good; ok {
			paths[path.Value], classes = union(paths[path.Value], of), union(classes, of)
		}
	})
	return paths, classes, ok
}

// isEmptyList says that a value is []: what it is about was looked at, and is not
// sensitive.
func isEmptyList(value *yaml.Node) bool {
	return value.Kind == yaml.SequenceNode && len(value.Content) == 0
}

func (p *parser) path(target string, key, value *yaml.Node) {
	if err := checkPath(key.Value); err != nil {
		p.problem(key.Line, fmt.Sprintf("%q: %v", key.Value, err), "paths are made of .name, ..name, [*] and ['any name'], like $.customers[*].card")
		return
	}
	what := fmt.Sprintf("path %q %q", target, key.Value)
	if isEmptyList(value) {
		if p.first(what, key) {
			p.c.plain[target] = append(p.c.plain[target], key.Value)
		}
		return
	}
	classes, ok := p.classes(key, value)
	if ok && p.first(what, key) {
		p.c.paths[target] = addPath(p.c.paths[target], key.Value, classes)
	}
}

// first notes that a thing is classified here, unless it already is elsewhere
// or the file is full.
func (p *parser) first(what string, key *yaml.Node) bool {
	if line, again := p.lines[what]; again {
		p.problem(key.Line, fmt.Sprintf("%q is classified in line %d already", key.Value, line), "put both classes there: [pii.email, gdpr.contact]")
		return false
	}
	p.lines[what] = key.Line
	if len(p.lines) == MaxEntries+1 {
		p.problem(key.Line, fmt.Sprintf("more than %d entries", MaxEntries), `use "*" for a table or schema instead of a line a column`)
	}
	return len(p.lines) <= MaxEntries
}

// classes reads a class or a list of them.
func (p *parser) classes(key, value *yaml.Node) ([]string, bool) {
	classes, ok := p.list(key, value, "class", "pii.ssn")
	for _, c := range classes {
		if !isClass(c) {
			p.problem(value.Line, fmt.Sprintf("%q is not a class", c), "write lower-case words with dots, like pii.ssn")
			ok = false
		}
	}
	return classes, ok
}

// detect reads the detectors of a target: a list of names, with the classes that
// they find by themselves, or a mapping of names to classes.
func (p *parser) detect(target string, value *yaml.Node) {
	key := &yaml.Node{Value: "detect", Line: value.Line}
	var asked []detect.Asked
	good := true
	add := func(line int, name string, classes []string) {
		d, ok := detect.ByName(name)
		if !ok {
			p.problem(line, fmt.Sprintf("unknown detector %q", name), "detectors are "+strings.Join(detect.Names(), ", "))
			good = false
			return
		}
		if classes == nil {
			classes = []string{d.Class()}
		}
		asked = addAsked(asked, detect.Asked{Detector: d, Classes: classes})
	}
	if value.Kind == yaml.MappingNode {
		p.mapping(value, "detect", func(name, classes *yaml.Node) {
			list, ok := p.classes(name, classes)
			if good = good && ok; ok {
				add(name.Line, name.Value, list)
			}
		})
	} else {
		names, ok := p.list(key, value, "detector", "[email, us_ssn], or {credit_card: pci.pan}")
		good = ok
		for _, name := range names {
			add(value.Line, name, nil)
		}
	}
	if good && len(asked) == 0 {
		p.problem(value.Line, `"detect" has an empty list`, "name a detector, or remove the line")
		return
	}
	if good && p.first(fmt.Sprintf("detect %q", target), key) {
		p.c.detectors[target] = asked
	}
}

// list reads one string or a sequence of at least one, as a sorted set.
func (p *parser) list(key, value *yaml.Node, what, example string) ([]string, bool) {
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		items = value.Content
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" || item.Anchor != "" {
			p.problem(item.Line, fmt.Sprintf("%q needs a %s or a list of them", key.Value, what), "write "+example)
			return nil, false
		}
		out = append(out, item.Value)
	}
	if len(out) == 0 {
		p.problem(value.Line, fmt.Sprintf("%q has an empty list", key.Value), "name a "+what+", or remove the line")
		return nil, false
	}
	slices.Sort(out)
	return slices.Compact(out), true
}
