package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a bundle.
type Problem struct {
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`   // 1 is the first; 0 is the whole file
	Column  int      `json:"column,omitempty"` // in characters, from 1
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Details []string `json:"details,omitempty"`
}

// String is the problem in the form that editors understand.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, max(p.Column, 1))
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: %s", p.Code, p.Message)
	for _, d := range p.Details {
		b.WriteString("\n    " + d)
	}
	return b.String()
}

// BundleError is all that keeps a bundle from being used.
type BundleError struct {
	Problems []Problem
}

// Error writes one problem a line.
func (e *BundleError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
