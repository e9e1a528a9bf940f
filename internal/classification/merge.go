package classification

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/weir-gateway/weir/internal/detect"
)

// Additions are lines for the file about one target.
type Additions struct {
	Target    string
	Lines     []Addition
	Detectors []string
}

// Addition gives classes to a column, or to a JSONPath of the target's documents.
type Addition struct {
	Column  string // schema.table.column, as ColumnName writes it
	Path    string
	Classes []string
	Comment string // one line, written behind it; "" for none
}

// Empty says that there is nothing to add.
func (a *Additions) Empty() bool { return len(a.Lines)+len(a.Detectors) == 0 }

// Text is what a file would be that says only this.
func (a *Additions) Text() string {
	if a.Empty() {
		return ""
	}
	lines := []string{yamlKey(quoteName(a.Target)) + ":"}
	lines = append(lines, a.lines("  ", "")...)
	if len(a.Detectors) > 0 {
		lines = append(lines, "  detect: ["+strings.Join(a.Detectors, ", ")+"]")
	}
	return strings.Join(lines, "\n") + "\n"
}

// lines writes the columns and paths, each behind an indent and the prefix of its key.
func (a *Additions) lines(indent, prefix string) []string {
	var out []string
	for _, l := range a.Lines {
		key := prefix + l.Column
		if l.Column == "" {
			key = l.Path
		}
		value := strings.Join(l.Classes, ", ")
		if len(l.Classes) != 1 {
			value = "[" + value + "]"
		}
		line := indent + yamlKey(key) + ": " + value
		if l.Comment != "" {
			line += " # " + l.Comment
		}
		out = append(out, line)
	}
	return out
}

var bareName = regexp.MustCompile(`^[a-z_\x{80}-\x{10FFFF}][a-z0-9_\x{80}-\x{10FFFF}-]*$`)

// ColumnName writes the names of a column as the file has them; Any stays what it is.
func ColumnName(schema, table, column string) string {
	return quoteName(schema) + "." + quoteName(table) + "." + quoteName(column)
}

func quoteName(n string) string {
	if n == Any || bareName.MatchString(n) {
		return n
	}
	return `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
}

var plainKey = regexp.MustCompile(`^[a-z_][a-z0-9_.-]*$`)

// notNames are what YAML, or some reader of it, takes for something else than a text.
var notNames = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// yamlKey writes a key: in double quotes, which read a JSON string, unless it is plain.
func yamlKey(k string) string {
	if plainKey.MatchString(k) && !slices.Contains(notNames, k) {
		return k
	}
	text, _ := json.Marshal(k) //nolint:errchkjson // a string
	return string(text)
}

// ErrMerge says that a file is written in a way in which nothing can be added to it.
var ErrMerge = errors.New("the lines cannot be put into the file as it is written; add them by hand")

// Merge adds lines to the text of a file and keeps every byte that is there. It changes no
// line and removes none, but adds to a list of detectors. name is what errors call the file.
func Merge(name string, text []byte, a Additions) ([]byte, error) {
	before, err := Parse(name, text)
	if err != nil {
		return nil, err
	}
	if a.Empty() {
		return text, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	e := newEditor(text)
	e.add(&doc, &a)
	merged := e.bytes()
	after, err := Parse(name, merged)
	if err != nil || !isUnion(before, after, &a) {
		return nil, ErrMerge
	}
	return merged, nil
}

// isUnion says that a file says what it said, what was to be added, and nothing else.
func isUnion(before, after *Classification, a *Additions) bool {
	added, err := Parse("", []byte(a.Text()))
	if err != nil {
		return false
	}
	columns := maps.Clone(before.columns)
	for k, classes := range added.columns {
		columns[k] = union(columns[k], classes)
	}
	if !maps.EqualFunc(columns, after.columns, slices.Equal) || !maps.Equal(before.harmless, after.harmless) || !maps.EqualFunc(before.plain, after.plain, slices.Equal) {
		return false
	}
	targets := union(union(before.Targets(), added.Targets()), after.Targets())
	for _, t := range targets {
		want := slices.Clone(before.paths[t])
		for _, p := range added.paths[t] {
			want = addPath(want, p.Path, p.Classes)
		}
		if !slices.EqualFunc(want, after.paths[t], func(a, b PathClass) bool { return a.Path == b.Path && slices.Equal(a.Classes, b.Classes) }) {
			return false
		}
		asked := slices.Clone(before.Detectors(t))
		for _, d := range added.Detectors(t) {
			asked = addAsked(asked, d)
		}
		if !slices.EqualFunc(asked, after.Detectors(t), func(a, b detect.Asked) bool { return a.Detector == b.Detector && slices.Equal(a.Classes, b.Classes) }) {
			return false
		}
	}
	return true
}

// editor puts text into a file.
type editor struct {
	lines []string // without their ends
	end   string   // of lines
	edits []edit
}

// edit is text to be put in: behind a line, or within it.
type edit struct {
	line   int // counted from 1; 0 is before the first
	column int // in bytes, counted from 1; 0 is behind the line
	length int // of what is replaced
	text   []string
}

func newEditor(text []byte) *editor {
	e := &editor{end: "\n"}
	if bytes.Contains(text, []byte("\r\n")) {
		e.end = "\r\n"
	}
	all := strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if all != "" {
		e.lines = strings.Split(all, "\n")
	}
	return e
}

// add decides where the additions go: below the target's key, or behind its last line, or
// to the end of the file.
func (e *editor) add(doc *yaml.Node, a *Additions) {
	var root *yaml.Node
	if len(doc.Content) > 0 && doc.Content[0].Kind == yaml.MappingNode {
		root = doc.Content[0]
	}
	block, last := e.find(root, a.Target)
	rest := *a
	switch {
	case block != nil && block.Style&yaml.FlowStyle != 0: // in braces: its name cannot stand there again
		e.detect(block, "", a.Detectors)
		e.edits = append(e.edits, edit{line: len(e.lines), text: rest.lines("", quoteName(a.Target)+".")})
		return
	case block != nil:
		indent := strings.Repeat(" ", block.Content[0].Column-1)
		fresh := rest.lines(indent, "")
		fresh = append(fresh, e.detect(block, indent, a.Detectors)...)
		e.behind(e.lastLine(root, block), len(indent), fresh)
		return
	case last != nil && !slices.ContainsFunc(a.Lines, func(l Addition) bool { return l.Column == "" }):
		e.behind(e.lastLine(root, last), 0, rest.lines("", quoteName(a.Target)+"."))
		rest.Lines = nil
	}
	if text := rest.Text(); text != "" {
		fresh := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if n := len(e.lines); n > 0 && strings.TrimSpace(e.lines[n-1]) != "" {
			fresh = append([]string{""}, fresh...)
		}
		e.edits = append(e.edits, edit{line: len(e.lines), text: fresh})
	}
}

// find finds the block below a target's name, and the last line that begins with that name.
func (e *editor) find(root *yaml.Node, target string) (block, last *yaml.Node) {
	for i := 0; root != nil && i+1 < len(root.Content); i += 2 {
		names, err := splitName(root.Content[i].Value)
		if err != nil || names[0].raw != target {
			continue
		}
		value := root.Content[i+1]
		switch {
		case len(names) == 4:
			last = value
		case len(names) == 1 && value.Kind == yaml.MappingNode && len(value.Content) > 0:
			block = value
		}
	}
	return block, last
}

// lastLine is the last line of the value of one of the file's own keys: what is behind it, up
// to the next key, is blank or a comment.
func (e *editor) lastLine(root, value *yaml.Node) int {
	next := len(e.lines) + 1
	for i := 0; i < len(root.Content); i += 2 {
		if line := root.Content[i].Line; line > value.Line && line < next && root.Content[i+1] != value {
			next = line
		}
	}
	line := next - 1
	for line > value.Line && isBlank(e.lines[line-1]) {
		line--
	}
	return line
}

func isBlank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#' || line == "..."
}

// behind puts lines behind a line, and behind the comments that follow it at the same depth.
func (e *editor) behind(line, indent int, text []string) {
	for line < len(e.lines) && indent > 0 {
		if next := e.lines[line]; strings.HasPrefix(strings.TrimLeft(next, " "), "#") && len(next)-len(strings.TrimLeft(next, " ")) >= indent {
			line++
			continue
		}
		break
	}
	e.edits = append(e.edits, edit{line: line, text: text})
}

// detect adds to the detectors of a block what they lack; it returns a line for it where the
// block has none.
func (e *editor) detect(block *yaml.Node, indent string, detectors []string) []string {
	if len(detectors) == 0 {
		return nil
	}
	for i := 0; i+1 < len(block.Content); i += 2 {
		if block.Content[i].Value == "detect" {
			e.extend(block.Content[i+1], slices.Clone(detectors))
			return nil
		}
	}
	return []string{indent + "detect: [" + strings.Join(detectors, ", ") + "]"}
}

// extend adds to a list of detectors, in the way in which it is written.
func (e *editor) extend(list *yaml.Node, detectors []string) {
	last := list
	switch {
	case list.Kind == yaml.SequenceNode && len(list.Content) > 0:
		last = list.Content[len(list.Content)-1]
	case list.Kind == yaml.MappingNode && len(list.Content) > 1:
		last = list.Content[len(list.Content)-2] // a key
		for i, d := range detectors {
			if known, ok := detect.ByName(d); ok {
				detectors[i] = d + ": " + known.Class()
			}
		}
	}
	if last.Kind != yaml.ScalarNode || last.Line > len(e.lines) {
		return // Merge says so
	}
	line := e.lines[last.Line-1]
	at := byteColumn(line, last.Column)
	switch {
	case list.Kind == yaml.ScalarNode:
		if length := len(list.Value); list.Style == 0 && at-1+length <= len(line) {
			e.edits = append(e.edits, edit{line: list.Line, column: at, length: length, text: []string{"[" + list.Value + ", " + strings.Join(detectors, ", ") + "]"}})
		}
	case list.Kind == yaml.SequenceNode && list.Style&yaml.FlowStyle == 0:
		var text []string
		for _, d := range detectors {
			text = append(text, line[:at-1]+d)
		}
		e.edits = append(e.edits, edit{line: last.Line, text: text})
	case list.Kind == yaml.MappingNode && list.Style&yaml.FlowStyle == 0:
		var text []string
		for _, d := range detectors {
			text = append(text, line[:at-1]+d)
		}
		e.edits = append(e.edits, edit{line: last.Line - 1, text: text})
	default:
		e.edits = append(e.edits, edit{line: last.Line, column: at, text: []string{strings.Join(detectors, ", ") + ", "}})
	}
}

// byteColumn is a column in bytes, of one in characters.
func byteColumn(line string, column int) int {
	at := 0
	for ; column > 1 && at < len(line); column-- {
		_, n := utf8.DecodeRuneInString(line[at:])
		at += n
	}
	return at + 1
}

// bytes is the text with all edits.
func (e *editor) bytes() []byte {
	slices.Reverse(e.edits)                                                        // of two behind one line, the first comes to stand first
	slices.SortStableFunc(e.edits, func(a, b edit) int { return b.line - a.line }) // from the end, so that numbers stay right
	lines := slices.Clone(e.lines)
	for _, d := range e.edits {
		if d.column == 0 {
			lines = slices.Insert(lines, d.line, d.text...)
			continue
		}
		old := lines[d.line-1]
		lines[d.line-1] = old[:d.column-1] + d.text[0] + old[d.column-1+d.length:]
	}
	if len(lines) == 0 {
		return nil
	}
	return []byte(strings.Join(lines, e.end) + e.end)
}
