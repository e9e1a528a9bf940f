package sqlmeta

import (
	"regexp"
	"strings"
)

// reaching are the words without which a function in SQL or PL/pgSQL reads and writes no
// table, and tells nothing.
var reaching = map[string]bool{
	"select": true, "from": true, "table": true, "insert": true, "update": true, "delete": true, "merge": true, "copy": true,
	"execute": true, "perform": true, "call": true, "do": true, "raise": true, "assert": true, "create": true, "alter": true, "drop": true,
	"set": true, "reset": true, "notify": true, "import": true, "truncate": true, "refresh": true, "with": true, "values": true, "open": true,
	"operator": true, "grant": true, "revoke": true, "comment": true, "security": true, "lock": true, "prepare": true, "load": true,
}

var (
	quotedText = regexp.MustCompile(`(?s)'[^']*'|--[^\n]*`)
	words      = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9$]*(\s*\.\s*[A-Za-z_][A-Za-z_0-9$]*)*\s*\(?`)
)

// plainWords may stand ahead of a parenthesis and call nothing.
var plainWords = map[string]bool{
	"if": true, "elsif": true, "in": true, "and": true, "or": true, "not": true, "case": true, "when": true, "then": true, "else": true,
	"return": true, "coalesce": true, "greatest": true, "least": true, "nullif": true, "row": true, "while": true, "check": true, "distinct": true,
	"numeric": true, "varchar": true, "char": true, "decimal": true, "timestamp": true, "time": true, "bit": true,
}

// Harmless says of a function's source that it certainly looks at nothing but its own
// arguments, or the row that it is called for: that sets updated_at, say. It is not
// understood, only searched; what is not certain is not harmless.
//
// users are the names of what users have made that a search path may put in the place of the
// server's own: of functions, "operator +", "cast date", "cast from …".
func Harmless(language, source string, users map[string]bool) bool {
	switch language {
	case "c", "internal": // as with functions that are called by name, extensions are trusted
		return true
	case "plpgsql":
	default:
		return false
	}
	text := quotedText.ReplaceAllString(source, " ")
	if strings.ContainsAny(text, "\"'\\") || strings.Contains(text, "$$") || strings.Contains(text, "/*") {
		return false
	}
	for name := range users {
		if operator, is := strings.CutPrefix(name, "operator "); is && strings.Contains(text, operator) || strings.HasPrefix(name, "cast from ") {
			return false
		}
	}
	for _, w := range words.FindAllString(text, -1) {
		name, calls := strings.CutSuffix(w, "(")
		name = strings.ToLower(strings.TrimSpace(name))
		if reaching[name] || users[name] && calls || users["cast "+name] {
			return false
		}
		if !calls || plainWords[name] {
			continue
		}
		if _, danger := dangerOf(name); danger {
			return false
		}
		if _, native := builtins()[name]; !native {
			return false
		}
	}
	return true
}
