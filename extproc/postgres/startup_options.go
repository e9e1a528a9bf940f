package postgres

import (
	"slices"
	"strconv"
	"strings"
)

// optionLetters are the letters that the server's command line knows, each with
// a colon where a value follows (process_postgres_switches in postgres.c).
const optionLetters = "B:bC:c:D:d:EeFf:h:ijk:lN:nOPp:r:S:sTt:v:W:-:"

// parseOptions reads the startup parameter "options", a command line of the
// server's, into the settings that it stands for: each is looked at on its own.
func parseOptions(line string) ([]setting, error) {
	var out []setting
	words := splitOptions(line)
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--": // the end of options, by getopt
			if i+1 < len(words) {
				return nil, badOption(words[i+1])
			}
			return out, nil
		case !strings.HasPrefix(word, "-") || word == "-":
			return nil, badOption(word)
		}
		for rest := word[1:]; rest != ""; {
			letter := rest[0]
			rest = rest[1:]
			at := strings.IndexByte(optionLetters, letter)
			switch {
			case at < 0 || letter == ':':
				return nil, badOption(word)
			case at+1 >= len(optionLetters) || optionLetters[at+1] != ':':
				out = append(out, flagSettings[letter]...)
				continue
			case rest == "" && i+1 == len(words):
				return nil, badOption(word)
			case rest == "":
				i++
				rest = words[i]
			}
			settings, err := valueSettings(letter, rest, word)
			if err != nil {
				return nil, err
			}
			out = append(out, settings...)
			break
		}
	}
	return out, nil
}

// flagSettings are what letters without a value set. The others do nothing in a
// client's options.
var flagSettings = map[byte][]setting{
	'e': {{"datestyle", "euro"}},
	'F': {{"fsync", "false"}},
	'i': {{"listen_addresses", "*"}},
	'l': {{"ssl", "true"}},
	'O': {{"allow_system_table_mods", "true"}},
	'P': {{"ignore_system_indexes", "true"}},
	's': {{"log_statement_stats", "true"}},
}

// letterSettings are the settings that letters with a value name.
var letterSettings = map[byte]string{
	'B': "shared_buffers", 'h': "listen_addresses", 'k': "unix_socket_directories", 'N': "max_connections",
	'p': "port", 'S': "work_mem", 'W': "post_auth_delay",
}

// planSettings are the letters of -f (set_plan_disabling_options).
var planSettings = map[string]string{
	"s": "enable_seqscan", "i": "enable_indexscan", "o": "enable_indexonlyscan", "b": "enable_bitmapscan",
	"t": "enable_tidscan", "n": "enable_nestloop", "m": "enable_mergejoin", "h": "enable_hashjoin",
}

// valueSettings are what a letter with a value sets.
func valueSettings(letter byte, value, word string) ([]setting, error) {
	switch letter {
	case 'c', '-':
		return longOption(letter, value)
	case 'f':
		name, ok := planSettings[value[:min(1, len(value))]]
		if !ok {
			return nil, badOption(word)
		}
		return []setting{{name, "false"}}, nil
	case 't': // get_stats_option_name
		for _, name := range []string{"parser", "planner", "executor"} {
			if strings.HasPrefix(value, name[:1]) && (name == "executor" || strings.HasPrefix(value, name[:2])) {
				return []setting{{"log_" + name + "_stats", "true"}}, nil
			}
		}
		return nil, badOption(word)
	case 'd':
		return debugSettings(value), nil
	}
	if name, ok := letterSettings[letter]; ok {
		return []setting{{name, value}}, nil
	}
	return nil, nil
}

// debugSettings are what -d sets (set_debug_options).
func debugSettings(value string) []setting {
	level, _ := strconv.Atoi(value) // as atoi: what is no number is 0
	if level <= 0 {
		return []setting{{"log_min_messages", "notice"}}
	}
	out := []setting{{"log_min_messages", "debug" + strconv.Itoa(level)}}
	for i, s := range []setting{
		{"log_statement", "all"}, {"debug_print_parse", "true"}, {"debug_print_plan", "true"}, {"debug_print_rewritten", "true"},
	} {
		if level >= i+2 {
			out = append(out, s)
		}
	}
	return out
}

// longOption is -c name=value or --name=value (ParseLongOption).
func longOption(letter byte, text string) ([]setting, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		sign := "-c "
		if letter == '-' {
			sign = "--"
		}
		return nil, fatal(codeSyntax, "%s%s requires a value", sign, text)
	}
	name = strings.ReplaceAll(name, "-", "_")
	if name == "" || slices.Contains(notSettings, name) || strings.HasPrefix(name, "_pq_.") {
		return nil, fatal(codeUndefinedObject, "unrecognized configuration parameter %q", name)
	}
	return []setting{{name, value}}, nil
}

func badOption(word string) error {
	return fatal(codeSyntax, "invalid command-line argument for server process: %s", word).
		withHint(`Try "postgres --help" for more information.`)
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
