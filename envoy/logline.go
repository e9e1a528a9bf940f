package envoy

import (
	"log/slog"
	"regexp"
	"strings"
)

// logFormat is how Envoy is told to log: level, component, text. With
// --log-format-escaped a record is always one line.
const logFormat = "[%l][%n] %v"

var logLine = regexp.MustCompile(`^\[([a-z]+)\]\[([^\]]*)\] (.*)$`)

// record is a line of Envoy's log.
type record struct {
	level     slog.Level
	component string
	message   string // may have several lines
}

// parseLine reads a line of Envoy's log. A line that is none (the loader's last
// words, a library's) is reported as not ok.
func parseLine(line string) (record, bool) {
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		return record{}, false
	}
	level, ok := levels(m[1])
	if !ok {
		return record{}, false
	}
	return record{level: level, component: m[2], message: unescape(m[3])}, true
}

func levels(name string) (slog.Level, bool) {
	switch name {
	case "trace", "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warning", "warn":
		return slog.LevelWarn, true
	case "error", "critical":
		return slog.LevelError, true
	}
	return 0, false
}

// unescape undoes the C escapes that keep a record on one line.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\'`, `'`).Replace(s)
}
