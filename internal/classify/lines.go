package classify

import (
	"slices"
	"strings"
	"unicode"

	"github.com/weir-gateway/weir/internal/classification"
)

// Lines are what the classification lacks, with the evidence as comments. What was found at
// paths in a column of a database is written for the whole column.
func (r *Report) Lines(least Confidence) classification.Additions {
	a := classification.Additions{Target: r.Target}
	at := map[string]int{} // of the columns in a.Lines
	for _, f := range r.Unclassified(least) {
		why := string(f.Confidence) + ": " + f.Why()
		if f.Column != "" && f.Path != "" {
			why = f.Path + " " + why
		}
		i, again := at[f.Column]
		if !again || f.Column == "" {
			at[f.Column] = len(a.Lines)
			a.Lines = append(a.Lines, classification.Addition{Column: f.Column, Path: f.Path, Classes: slices.Clone(f.Classes), Comment: clean(why)})
			continue
		}
		line := &a.Lines[i]
		line.Comment += "; " + clean(why)
		for _, c := range f.Classes {
			if !slices.Contains(line.Classes, c) {
				line.Classes = append(line.Classes, c)
			}
		}
	}
	for _, p := range r.Undetected(least) {
		a.Detectors = append(a.Detectors, p.Detector)
	}
	return a
}

// clean is a text as one line of what can be printed: names are by strangers, and a line
// break in one would be a line of the file.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func join(list []string) string { return strings.Join(list, ", ") }
