package postgres

import (
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// startupParams is what a StartupMessage says.
type startupParams struct {
	user     string // as the client says; nothing is decided by it
	database string
	app      string
	signIn   SignIn // the way that the client asks for, "" for none
	options  string
	// replication says that the connection is one for replication.
	replication replication
	settings    []setting // for the server, in the order in which it would apply them
}

type setting struct{ name, value string }

// signInSetting is how a client chooses among the ways in which it may sign in.
// It is for the gateway alone.
const signInSetting = "weir.sign_in"

// keptSettings load code into the server, which no client may choose.
var keptSettings = []string{"local_preload_libraries", "session_preload_libraries"}

// notSettings have a meaning of their own in a StartupMessage.
var notSettings = []string{"user", "database", "replication", "options"}

// parseStartup reads the parameters of a StartupMessage, as the server's
// ProcessStartupPacket does: pairs of strings, and an empty name at the end. Of
// what stands there twice the last counts. It returns protocol extensions apart:
// none is known.
func parseStartup(b []byte) (*startupParams, []string, error) {
	p := new(startupParams)
	var extensions []string
	c := &cursor{b: b}
	for {
		name := c.string()
		if c.wrong != "" || name == "" {
			break
		}
		value := c.string()
		if c.wrong != "" {
			break
		}
		switch {
		case name == "user":
			p.user = value
		case name == "database":
			p.database = value
		case name == "options":
			p.options = value
		case name == "replication":
			var err error
			if p.replication, err = parseReplication(value); err != nil {
				return nil, nil, err
			}
		case strings.HasPrefix(name, "_pq_."):
			extensions = append(extensions, name)
		default:
			p.settings = append(p.settings, setting{name, value})
		}
	}
	if c.end() != nil {
		return nil, nil, fatal(codeProtocolViolation, "invalid startup packet layout: expected terminator as last byte")
	}
	return p, extensions, nil
}

// complete judges what parseStartup has read, and keeps the settings that go on to
// the server.
func (p *startupParams) complete() error {
	if p.user == "" {
		return fatal(codeInvalidAuth, "no PostgreSQL user name specified in startup packet")
	}
	all, err := parseOptions(p.options)
	if err != nil {
		return err
	}
	all = append(all, p.settings...) // the server applies options first
	p.settings = nil
	for _, s := range all {
		// The name goes on as it was sent: "USER" is a setting to the server (which
		// has none of that name), "user" is who signs in.
		switch name := strings.ToLower(s.name); {
		case name == signInSetting:
			p.signIn = SignIn(s.value)
			continue
		case slices.Contains(keptSettings, name) || strings.HasPrefix(name, "weir."):
			return fatal(codeInvalidAuth, "the setting %q cannot be chosen at start-up through the gateway", s.name).
				withHint("Leave it out of the connection's parameters.")
		case name == "application_name":
			p.app = s.value
		}
		p.settings = append(p.settings, s)
	}
	return nil
}

// replication is what a connection for replication is for. The zero value is an
// ordinary connection.
type replication string

const (
	physical   replication = "physical" // replication commands alone
	inDatabase replication = "database" // and the SQL of one database
)

// parseReplication reads the startup parameter "replication": the word "database"
// or a boolean in the forms of the server's parse_bool: a beginning of true, false,
// yes or no, or on, off, 1, 0.
func parseReplication(value string) (replication, error) {
	v := strings.ToLower(value)
	begins := func(word string) bool { return v != "" && strings.HasPrefix(word, v) }
	switch {
	case begins("false"), begins("no"), v == "0", v == "off", v == "of":
		return "", nil
	case value == "database":
		return inDatabase, nil
	case begins("true"), begins("yes"), v == "1", v == "on":
		return physical, nil
	}
	return "", fatal(codeInvalidParameter, "invalid value for parameter %q: %q", "replication", value).
		withHint(`Valid values are: "false", 0, "true", 1, "database".`)
}

// append adds the startup parameter to those for the server.
func (r replication) append(settings []setting) []setting {
	switch r {
	case inDatabase:
		return append(settings, setting{"replication", "database"})
	case physical:
		return append(settings, setting{"replication", "true"})
	}
	return settings
}

// facts are the settings as policy is shown them, and what they mean.
func (p *startupParams) facts() (settings map[string]string, risks []string) {
	settings = make(map[string]string, len(p.settings))
	for _, s := range p.settings {
		name := strings.ToLower(s.name)
		settings[name] = s.value
		for _, r := range sqlmeta.SettingRisks(name, s.value) {
			if !slices.Contains(risks, r) {
				risks = append(risks, r)
			}
		}
	}
	return settings, risks
}
