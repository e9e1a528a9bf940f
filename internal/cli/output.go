package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// output is the flag of commands that print for people or for machines.
type output struct {
	Output string `short:"o" enum:"text,json" default:"text" placeholder:"FORMAT" help:"text or json."`
}

func (o output) json() bool { return o.Output == "json" }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows under a heading; cells are kept on one line.
func table(w io.Writer, heading []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, strings.Join(heading, "\t")) // tabwriter reports at Flush
	for _, r := range rows {
		for i := range r {
			r[i] = oneLine(r[i])
		}
		_, _ = fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// oneLine shortens a text for a table, and takes out what could move the
// terminal's cursor: much of it was written by strangers.
func oneLine(text string) string {
	const most = 72
	clean := []rune(printable(strings.Join(strings.Fields(text), " ")))
	if len(clean) > most {
		clean = append(clean[:most-1], '…')
	}
	return string(clean)
}

// printable takes out what could move the terminal's cursor, or turn around how a line reads.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != ' ' && !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, text)
}

func when(t time.Time) string { return t.Local().Format(time.DateTime) }
