package postgres

import (
	"slices"
	"strings"
)

// startupParams is what a StartupMessage says.
type startupParams struct {
	user     string // as the client says; nothing is decided by it
	database string
	app      string
	settings []setting // for the server, in order
}

type setting struct{ name, value string }

// keptSettings are those that a client may not set at start-up, where no policy
// sees it: who the session acts as, and what is loaded into the server.
var keptSettings = []string{
	"role", "session_authorization", "local_preload_libraries", "session_preload_libraries",
}

// notSettings have a meaning of their own in a StartupMessage.
var notSettings = []string{"user", "database", "replication", "options"}

// parseStartup reads the parameters of a StartupMessage: pairs of strings, and
// an empty name at the end. It returns protocol extensions apart: none is known.
func parseStartup(b []byte) (*startupParams, []string, error) {
	p := new(startupParams)
	var extensions []string
	c := &cursor{b: b}
	for {
		name := c.string()
		if c.bad || name == "" {
			break
		}
		value := c.string()
		if strings.HasPrefix(name, "_pq_.") {
			extensions = append(extensions, name)
			continue
		}
		if err := p.set(name, value); err != nil {
			return nil, nil, err
		}
	}
	if c.end() != nil {
		return nil, nil, fatal(codeProtocolViolation, "invalid startup packet layout: expected terminator as last byte")
	}
	return p, extensions, nil
}

func (p *startupParams) set(name, value string) error {
	switch name {
	case "user":
		p.user = value
		return nil
	case "database":
		p.database = value
		return nil
	case "replication":
		switch strings.ToLower(value) {
		case "", "0", "f", "false", "n", "no", "off":
			return nil
		}
		return fatal(codeInvalidAuth, "replication connections are not carried by the gateway")
	case "options":
		return p.options(value)
	}
	// The name goes on as it was sent: "USER" is a setting to the server (which
	// has none of that name), "user" is who signs in.
	lower := strings.ToLower(name)
	if slices.Contains(keptSettings, lower) || strings.HasPrefix(lower, "weir.") {
		return fatal(codeInvalidAuth, "the setting %q cannot be chosen at start-up through the gateway", name).
			withHint("Leave it out of the connection's parameters.")
	}
	if lower == "application_name" {
		p.app = value
	}
	p.settings = append(p.settings, setting{name, value})
	return nil
}

// options reads the command-line options of a session (PostgreSQL, "postgres":
// -c name=value and --name=value), so that each setting is looked at on its own.
func (p *startupParams) options(line string) error {
	words := splitOptions(line)
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-c" && i+1 < len(words):
			i++
			word = words[i]
		case strings.HasPrefix(word, "-c"):
			word = word[2:]
		case strings.HasPrefix(word, "--"):
			word = word[2:]
		default:
			return fatal(codeFeatureNotSupported, "the option %q is not carried by the gateway", word).
				withHint("Use -c name=value.")
		}
		name, value, ok := strings.Cut(word, "=")
		name = strings.ReplaceAll(name, "-", "_")
		if !ok || name == "" {
			return fatal(codeProtocolViolation, "the option %q has no value", word)
		}
		if slices.Contains(notSettings, name) || strings.HasPrefix(name, "_pq_.") {
			return fatal(codeInvalidAuth, "%q is not a setting", name)
		}
		if err := p.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// splitOptions splits at blanks; a backslash keeps the next character
// (pg_split_opts in the server).
func splitOptions(line string) []string {
	var words []string
	var word strings.Builder
	started := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r':
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
			continue
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == '\\':
		default:
			word.WriteByte(c)
		}
		started = true
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
