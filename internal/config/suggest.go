package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the candidate that was most likely meant, or "".
func nearest(word string, candidates []string) string {
	best, bestDistance := "", len(word)/3+2
	for _, c := range candidates {
		d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(c))
		if d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// oneOf is the way out where one of a few words was expected.
func oneOf(word string, candidates []string) string {
	if n := nearest(word, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return "use one of: " + strings.Join(candidates, ", ")
}
