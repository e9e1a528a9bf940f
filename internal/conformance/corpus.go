package conformance

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed corpus/*.yaml
var embedded embed.FS

//go:embed seed.sql
var seed string

// Shape is one way of asking: a statement, or several in one session.
type Shape struct {
	Family string
	Name   string   `yaml:"name"`
	SQL    lines    `yaml:"sql"`    // the statements, in order
	Via    []string `yaml:"via"`    // how they are sent; by default in each form that suits
	Params []string `yaml:"params"` // of the last statement, in text
	Data   string   `yaml:"data"`   // what a COPY FROM STDIN is given
	Writes bool     `yaml:"writes"` // changes something though it begins with SELECT
	Setup  lines    `yaml:"setup"`  // run beforehand past the gateway, by the owner of the schema
	Call   string   `yaml:"call"`   // a function with argument types, for via call: Params are its arguments
	// Benign shapes touch nothing protected: what comes back must be what the server
	// says.
	Benign bool `yaml:"benign"`
	// Volatile answers differ from run to run: they are searched but not compared.
	Volatile bool `yaml:"volatile"`
	// Refused shapes are refused by PostgreSQL itself.
	Refused bool `yaml:"refused"`
}

// ID names a shape in reports.
func (s *Shape) ID() string { return s.Family + "/" + s.Name }

// lines are one text or a list of them.
type lines []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *lines) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = lines{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

// file is one file of the corpus.
type file struct {
	Family string  `yaml:"family"`
	About  string  `yaml:"about"`
	Benign bool    `yaml:"benign"`
	Shapes []Shape `yaml:"shapes"`
}

// Corpus reads the shapes that come with the kit.
func Corpus() ([]Shape, error) {
	all, err := fs.Sub(embedded, "corpus")
	if err != nil {
		return nil, err
	}
	return ReadCorpus(all)
}

// ReadCorpus reads all files *.yaml of a folder.
func ReadCorpus(folder fs.FS) ([]Shape, error) {
	names, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []Shape
	var errs []error
	for _, name := range names {
		shapes, err := readFile(folder, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		all = append(all, shapes...)
	}
	seen := map[string]bool{}
	for i := range all {
		id := all[i].ID()
		if seen[id] {
			errs = append(errs, fmt.Errorf("%s is there twice", id))
		}
		seen[id] = true
	}
	return all, errors.Join(errs...)
}

func readFile(folder fs.FS, name string) ([]Shape, error) {
	text, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, err
	}
	var f file
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		return nil, err
	}
	var errs []error
	for i := range f.Shapes {
		s := &f.Shapes[i]
		s.Family, s.Benign = f.Family, s.Benign || f.Benign
		if err := s.complete(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.ID(), err))
		}
	}
	return f.Shapes, errors.Join(errs...)
}

// complete checks a shape and sets how it is sent.
func (s *Shape) complete() error {
	switch {
	case s.Family == "" || s.Name == "":
		return errors.New("family and name are needed")
	case len(s.SQL) == 0 && s.Call == "":
		return errors.New("sql or call is needed")
	}
	for _, via := range s.Via {
		if !slices.Contains(allVias, via) {
			return fmt.Errorf("via %q: one of %s", via, strings.Join(allVias, ", "))
		}
	}
	if len(s.Via) == 0 {
		s.Via = s.vias()
	}
	return nil
}

// query matches what a cursor can be declared for and COPY can take.
var query = regexp.MustCompile(`(?is)^\s*(select|values|table|\(|with\b)`)

// writer matches a query that cannot be wrapped, as it does not only read.
var writer = regexp.MustCompile(`(?is)\b(insert|update|delete|merge)\b|\binto\b|\bfor (update|share)\b`)

func (s *Shape) plain() bool {
	return len(s.SQL) == 1 && query.MatchString(s.SQL[0]) && !writer.MatchString(s.SQL[0]) && !s.Writes
}

// vias are the forms that suit a shape.
func (s *Shape) vias() []string {
	switch {
	case s.Call != "":
		return []string{viaCall}
	case len(s.Params) > 0:
		return []string{viaText, viaBinary, viaBlind, viaPrepared}
	case s.plain():
		return []string{viaSimple, viaText, viaBinary, viaBlind, viaPrepared, viaPortal, viaCursor, viaCopy, viaCopyCSV, viaCopyBinary}
	case len(s.SQL) == 1:
		return []string{viaSimple, viaText, viaPrepared}
	case s.Benign: // several kinds in one text are refused by rule, whatever they are
		return []string{viaSimple, viaBinary, viaPipeline}
	default:
		return []string{viaSimple, viaBinary, viaBatch, viaPipeline}
	}
}

// text is what the shape asks, on one line.
func (s *Shape) text() string {
	if s.Call != "" {
		return fmt.Sprintf("FunctionCall %s (%s)", s.Call, strings.Join(s.Params, ", "))
	}
	return strings.Join(strings.Fields(strings.Join(s.SQL, "; ")), " ")
}
