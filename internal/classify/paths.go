package classify

import (
	"regexp"
	"strings"
)

// pathStep is a step of a JSONPath of the classification.
type pathStep struct {
	name    string
	any     bool // [*]
	descend bool // ..name
}

var pathSteps = regexp.MustCompile(`(\.{1,2})([^.\[]+)|\[\*\]|\['([^']*)'\]|\["([^"]*)"\]`)

func stepsOf(path string) []pathStep {
	var out []pathStep
	for _, m := range pathSteps.FindAllStringSubmatch(path, -1) {
		s := pathStep{name: m[2] + m[3] + m[4], descend: m[1] == ".."}
		s.any = s.name == "" && strings.HasSuffix(m[0], "*]")
		out = append(out, s)
	}
	return out
}

// covers says that a pattern leads to a path, or to what it is in.
func covers(pattern, path []pathStep) bool {
	switch {
	case len(pattern) == 0:
		return true
	case len(path) == 0:
		return false
	case pattern[0].descend:
		for i, s := range path {
			if s.name == pattern[0].name && !s.any && covers(pattern[1:], path[i+1:]) {
				return true
			}
		}
		return false
	}
	return !path[0].descend && path[0].any == pattern[0].any && path[0].name == pattern[0].name && covers(pattern[1:], path[1:])
}

// presentAt are the classes that an HTTP target's documents have at a path.
func presentAt(target, path string, known Known) []string {
	out := []string{}
	steps := stepsOf(path)
	for _, p := range known.Paths(target) {
		if covers(stepsOf(p.Path), steps) {
			out = append(out, p.Classes...)
		}
	}
	return out
}
