package envoy

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// At the levels debug and trace Envoy logs headers, messages of ext_proc and the
// like, and so clients' tokens and targets' credentials. What could hold them is
// left out: of components that see no headers the first line stays, of those that
// do what comes before the first colon, and of any other nothing.
var (
	plainComponents  = []string{"main", "init", "config", "upstream", "connection", "pool", "conn_handler", "filter", "dns", "runtime", "secret", "stats"}
	headerComponents = []string{"http", "http2", "router", "ext_proc", "ext_authz", "client", "grpc"}
)

// tags are which connection and stream a line is about.
var tags = regexp.MustCompile(`^(?:\[Tags: [^\]]*\] |\[C\d+\](?:\[S\d+\])? )?`)

const leftOut = " …"

// redact leaves out of a record what may hold a secret.
func (r *record) redact() {
	if r.level >= slog.LevelInfo {
		return
	}
	line, _, more := strings.Cut(r.message, "\n")
	switch {
	case slices.Contains(plainComponents, r.component):
	case slices.Contains(headerComponents, r.component):
		head := len(tags.FindString(line))
		before, _, cut := strings.Cut(line[head:], ":")
		line, more = line[:head]+before, more || cut
	default:
		line, more = "", true
	}
	if more {
		line += leftOut
	}
	r.message = line
}
