package engine

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// logLine is a line of the engine's log: its level, its source and what it says.
var logLine = regexp.MustCompile(`^\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d+ \[ \d+ \] \{[^}]*\} <(\w+)> (.*)$`)

// levels of the engine, as ours. Much that it warns of concerns only those who
// tune it.
var levels = map[string]slog.Level{
	"Fatal": slog.LevelError, "Critical": slog.LevelError, "Error": slog.LevelWarn,
	"Warning": slog.LevelDebug, "Notice": slog.LevelDebug, "Information": slog.LevelDebug,
}

// lastLines is how much of what the engine said is kept for the error of its end.
const lastLines = 5

// copyLog logs what the engine says until it ends, and returns its last words.
// Stack traces stay out of the log.
func copyLog(r io.Reader, log *slog.Logger) string {
	var last []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		level, text := slog.LevelDebug, strings.TrimSpace(lines.Text())
		if m := logLine.FindStringSubmatch(text); m != nil {
			level, text = levels[m[1]], m[2]
			if queryLog.MatchString(text) {
				level = slog.LevelDebug
			}
		}
		if text = harmless(text); text == "" {
			continue
		}
		log.Log(context.Background(), level, text)
		if last = append(last, text); len(last) > lastLines {
			last = last[1:]
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long must not block the engine
	return strings.Join(last, "\n")
}

var (
	stackFrame = regexp.MustCompile(`^\d+\. `)
	queryLog   = regexp.MustCompile(`^(executeQuery|\w*Handler): `) // whoever asked is told
	queryText  = regexp.MustCompile(` ?\((in query|version|from) .*| ?\(in query:.*|, Stack trace \(.*`)
)

// harmless takes stack traces and the texts of queries out of a line: what is
// stored is nobody's business here.
func harmless(text string) string {
	if stackFrame.MatchString(text) {
		return ""
	}
	return queryText.ReplaceAllString(text, "")
}
