package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

const (
	maxLine  = 64 << 10 // bytes; a longer one is cut into several
	maxWords = 5        // lines of last words
)

// output turns what a child prints into log records.
type output struct {
	logger *slog.Logger
	lines  []*lineWriter

	mu       sync.Mutex
	words    []string // the last complaints
	stopping bool     // it was told to, and what ends with it is no news
}

func newOutput(log *slog.Logger) *output { return &output{logger: log} }

// log reads Envoy's log (its standard error).
func (o *output) log() io.Writer { return o.writer(o.logged) }

// accessLog reads Envoy's access log (its standard output), lines of JSON.
func (o *output) accessLog() io.Writer { return o.writer(o.accessed) }

func (o *output) writer(line func(string)) io.Writer {
	w := &lineWriter{line: line}
	o.lines = append(o.lines, w)
	return w
}

// flush is for a last line without an end. No more may be written then.
func (o *output) flush() {
	for _, w := range o.lines {
		w.flush()
	}
}

func (o *output) logged(line string) {
	r, ok := parseLine(line)
	if !ok {
		// Not from Envoy's logger: the loader, the allocator, a crash.
		r = record{level: slog.LevelWarn, component: "stderr", message: line}
	}
	r.redact()
	if o.known(r) {
		r.level = slog.LevelDebug
	}
	if r.level >= slog.LevelError || !ok {
		o.remember(r.message)
	}
	o.logger.Log(context.Background(), r.level, r.message, "component", r.component)
}

// known says whether a record is no news: weir tells of it itself, in better
// words, or it follows from stopping.
func (o *output) known(r record) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch r.component {
	case "config", "upstream": // a refusal is told by whoever sent what is refused
		if strings.Contains(r.message, "rejected: ") || strings.Contains(r.message, "failed to bind or apply socket options") {
			return true
		}
	case "main":
		o.stopping = o.stopping || r.message == "caught ENVOY_SIGTERM"
	}
	return o.stopping && r.level <= slog.LevelWarn
}

func (o *output) accessed(line string) {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil {
		o.logger.Info(line, "component", "stdout")
		return
	}
	attrs := []any{"component", "access"}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		attrs = append(attrs, k, fields[k])
	}
	o.logger.Info("access", attrs...)
}

func (o *output) remember(message string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.words = append(o.words, message)
	o.words = o.words[max(0, len(o.words)-maxWords):]
}

func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.words, "; ")
}

// lineWriter cuts what is written into lines.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		part = part[:min(len(part), maxLine-len(w.rest))]
		w.rest = append(w.rest, part...)
		p = p[len(part):]
		if i == len(part) {
			p = p[1:]
		} else if len(w.rest) < maxLine {
			continue
		}
		w.flush()
	}
	return n, nil
}

func (w *lineWriter) flush() {
	if text := strings.TrimRight(string(w.rest), "\r"); text != "" {
		w.line(text)
	}
	w.rest = w.rest[:0]
}
