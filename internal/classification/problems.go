package classification

import (
	"fmt"
	"strings"
)

// maxProblems bounds how many errors of one file are told; the rest is counted.
const maxProblems = 50

// Problem is one error of the file, with the way out.
type Problem struct {
	Line    int // 1 is the first; 0 where the problem is the whole file
	Message string
	Fix     string
}

// Error is all that is wrong with a file.
type Error struct {
	File     string
	Problems []Problem
}

// Error writes one line a problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for i, p := range e.Problems {
		if i == maxProblems {
			lines = append(lines, fmt.Sprintf("%s: and %d more", e.File, len(e.Problems)-i))
			break
		}
		where := e.File
		if p.Line > 0 {
			where = fmt.Sprintf("%s:%d", e.File, p.Line)
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %s", where, p.Message, p.Fix))
	}
	return strings.Join(lines, "\n")
}
