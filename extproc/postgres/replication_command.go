package postgres

import (
	"errors"
	"strings"
)

// The replication commands (PostgreSQL, "Streaming Replication Protocol").
const (
	identifySystem  = "IDENTIFY_SYSTEM"
	readSlot        = "READ_REPLICATION_SLOT"
	showSetting     = "SHOW"
	baseBackup      = "BASE_BACKUP"
	createSlot      = "CREATE_REPLICATION_SLOT"
	dropSlot        = "DROP_REPLICATION_SLOT"
	alterSlot       = "ALTER_REPLICATION_SLOT"
	startStream     = "START_REPLICATION"
	timelineHistory = "TIMELINE_HISTORY"
	uploadManifest  = "UPLOAD_MANIFEST"
)

// command is a replication command.
type command struct {
	name   string
	plugin string // that CREATE_REPLICATION_SLOT has the server load
	// options in parentheses, by name. The server refuses two of one name.
	options map[string]string
}

// streams says that what the command delivers is data, in a form in which nothing
// can be told apart: pages, log records, or what a plugin of the server makes of them.
func (c *command) streams() bool { return c.name == startStream || c.name == baseBackup }

var errSyntax = errors.New("syntax error")

// parseCommand reads a replication command as the server does (repl_gram.y of
// PostgreSQL 18, and the older form of BASE_BACKUP). It returns nil for a text whose
// first word is none: to the server that is SQL. A text that begins with one and goes
// on otherwise is an error here as it is there.
func parseCommand(text string) (*command, error) {
	p := commandParser{scanner: scanner{rest: text}}
	p.advance()
	if p.err != nil {
		return nil, p.err
	}
	c := &command{name: p.token.text, options: map[string]string{}}
	read := commandForms[c.name]
	if p.token.kind != tokenKeyword || read == nil {
		return nil, nil
	}
	p.advance()
	read(&p, c)
	p.sign(";")
	if p.token.kind != tokenEnd {
		p.fail()
	}
	if p.err != nil {
		return nil, p.err
	}
	return c, nil
}

// commandForms read what stands behind the name of each command.
var commandForms = map[string]func(*commandParser, *command){
	identifySystem: func(*commandParser, *command) {},
	uploadManifest: func(*commandParser, *command) {},
	readSlot:       func(p *commandParser, _ *command) { p.dotted() },
	showSetting:    func(p *commandParser, _ *command) { p.dotted() },
	baseBackup: func(p *commandParser, c *command) {
		if p.token == (token{tokenSign, "("}) {
			p.list(c, true)
			return
		}
		p.oldOptions()
	},
	createSlot: func(p *commandParser, c *command) {
		p.need(tokenName)
		p.keyword("TEMPORARY")
		if !p.keyword("PHYSICAL") {
			if !p.keyword("LOGICAL") {
				p.fail()
			}
			c.plugin = p.need(tokenName)
		}
		if p.token == (token{tokenSign, "("}) {
			p.list(c, true)
			return
		}
		for p.keyword("EXPORT_SNAPSHOT", "NOEXPORT_SNAPSHOT", "USE_SNAPSHOT", "RESERVE_WAL", "TWO_PHASE") {
		}
	},
	dropSlot: func(p *commandParser, _ *command) {
		p.need(tokenName)
		p.keyword("WAIT")
	},
	alterSlot: func(p *commandParser, c *command) {
		p.need(tokenName)
		p.list(c, true)
	},
	startStream: func(p *commandParser, c *command) {
		slot := p.keyword("SLOT")
		if slot {
			p.need(tokenName)
		}
		if slot && p.keyword("LOGICAL") {
			p.need(tokenPosition)
			if p.token == (token{tokenSign, "("}) {
				p.list(c, false)
			}
			return
		}
		p.keyword("PHYSICAL")
		p.need(tokenPosition)
		if p.keyword("TIMELINE") {
			p.need(tokenNumber)
		}
	},
	timelineHistory: func(p *commandParser, _ *command) { p.need(tokenNumber) },
}

// commandParser is at one word of a command. Behind an error it is at the end.
type commandParser struct {
	scanner scanner
	token   token
	err     error
}

func (p *commandParser) advance() {
	if p.err != nil {
		return
	}
	if p.token, p.err = p.scanner.next(); p.err != nil {
		p.token = token{}
	}
}

func (p *commandParser) fail() {
	if p.err == nil {
		p.err = errSyntax
	}
	p.token = token{}
}

// need takes a word of a kind, which must be there.
func (p *commandParser) need(kind tokenKind) string {
	text := p.token.text
	if p.token.kind != kind {
		p.fail()
		return ""
	}
	p.advance()
	return text
}

// keyword takes one of some words if it is there, and says whether it was.
func (p *commandParser) keyword(words ...string) bool {
	for _, w := range words {
		if p.token == (token{tokenKeyword, w}) {
			p.advance()
			return true
		}
	}
	return false
}

func (p *commandParser) sign(s string) bool {
	if p.token != (token{tokenSign, s}) {
		return false
	}
	p.advance()
	return true
}

// dotted takes a name that may have parts.
func (p *commandParser) dotted() {
	p.need(tokenName)
	for p.sign(".") {
		p.need(tokenName)
	}
}

// list takes options in parentheses. keywords says that their names may be
// keywords and their values names and numbers; else they are strings.
func (p *commandParser) list(c *command, keywords bool) {
	if !p.sign("(") {
		p.fail()
		return
	}
	for {
		name := p.token
		if name.kind != tokenName && (!keywords || name.kind != tokenKeyword) {
			p.fail()
			return
		}
		p.advance()
		value := ""
		if k := p.token.kind; k == tokenString || keywords && (k == tokenName || k == tokenNumber) {
			value = p.token.text
			p.advance()
		}
		if name.kind == tokenKeyword {
			name.text = strings.ToLower(name.text)
		}
		c.options[name.text] = value
		if !p.sign(",") {
			break
		}
	}
	if !p.sign(")") {
		p.fail()
	}
}

// oldOptions takes the options of BASE_BACKUP as they were until PostgreSQL 16:
// words, some with a value.
func (p *commandParser) oldOptions() {
	for p.token.kind == tokenName {
		p.advance()
		if p.token.kind == tokenString || p.token.kind == tokenNumber {
			p.advance()
		}
	}
}
