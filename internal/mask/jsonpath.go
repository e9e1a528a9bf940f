package mask

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrPath reports a JSONPath outside the supported subset.
var ErrPath = errors.New("JSONPath")

// Path is a compiled JSONPath of the subset that can be matched in one pass
// (RFC 9535): $, .name, ['name'], [n], [*], .*, ..name and ..*
type Path struct {
	text  string
	steps []step
}

func (p Path) String() string { return p.text }

type step struct {
	name    string
	index   int
	kind    stepKind
	descend bool // at any depth below
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepIndex
	stepAny
)

// ParsePath compiles a JSONPath.
func ParsePath(text string) (Path, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return Path{}, fmt.Errorf("%w %q: must start with $", ErrPath, text)
	}
	p := Path{text: text}
	for rest != "" {
		var s step
		var err error
		if s, rest, err = parseStep(rest); err != nil {
			return Path{}, fmt.Errorf("%w %q: %w", ErrPath, text, err)
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

func parseStep(in string) (s step, rest string, err error) {
	switch {
	case strings.HasPrefix(in, "..["):
		s, rest, err = parseBracket(in[2:])
		s.descend = true
	case strings.HasPrefix(in, ".."):
		s, rest, err = parseName(in[2:])
		s.descend = true
	case strings.HasPrefix(in, "."):
		s, rest, err = parseName(in[1:])
	case strings.HasPrefix(in, "["):
		s, rest, err = parseBracket(in)
	default:
		err = fmt.Errorf("expected . or [ at %q", in)
	}
	return s, rest, err
}

func parseName(in string) (step, string, error) {
	end := strings.IndexAny(in, ".[")
	if end < 0 {
		end = len(in)
	}
	name := in[:end]
	switch {
	case name == "":
		return step{}, "", errors.New("a name is missing after the dot")
	case name == "*":
		return step{kind: stepAny}, in[end:], nil
	case strings.ContainsAny(name, " \t\n*?@()'\"],"):
		return step{}, "", fmt.Errorf("name %q must be written ['…']", name)
	}
	return step{kind: stepName, name: name}, in[end:], nil
}

func parseBracket(in string) (step, string, error) {
	if quote := in[1:]; quote != "" && (quote[0] == '\'' || quote[0] == '"') {
		end := strings.Index(quote[1:], string(quote[0])+"]")
		if end < 0 {
			return step{}, "", fmt.Errorf("unclosed name in %q", in)
		}
		name := quote[1 : 1+end]
		if strings.Contains(name, `\`) {
			return step{}, "", fmt.Errorf("escapes are not supported in %q", name)
		}
		return step{kind: stepName, name: name}, quote[end+3:], nil
	}
	inside, rest, ok := strings.Cut(in[1:], "]")
	switch {
	case !ok:
		return step{}, "", fmt.Errorf("unclosed [ in %q", in)
	case inside == "*":
		return step{kind: stepAny}, rest, nil
	}
	n, err := strconv.Atoi(inside)
	if err != nil || n < 0 {
		return step{}, "", fmt.Errorf("[%s]: only [*], [n] and ['name'] are supported", inside)
	}
	return step{kind: stepIndex, index: n}, rest, nil
}

// takes is matches with the name as bytes, member where it is one of an object.
func (s *step) takes(name []byte, member bool, index int) bool {
	switch s.kind {
	case stepAny:
		return true
	case stepName:
		return member && s.name == string(name)
	default:
		return !member && s.index == index
	}
}

// matches says whether the step takes the member of that name, or where name is
// nil the element of that index.
func (s step) matches(name *string, index int) bool {
	switch s.kind {
	case stepAny:
		return true
	case stepName:
		return name != nil && s.name == *name
	default:
		return name == nil && s.index == index
	}
}
