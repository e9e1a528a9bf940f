package sqlmeta

import "strings"

// ParseSearchPath takes apart a value of search_path as the server shows it:
// names separated by commas, folded to lower case unless they are quoted. "$user"
// stays as it is. Empty elements, which the server ignores, are left out.
func ParseSearchPath(setting string) []string {
	var path []string
	for rest := setting; rest != ""; {
		rest = strings.TrimLeft(rest, " \t\n\r\f\v,")
		if rest == "" {
			break
		}
		var name string
		if rest[0] == '"' {
			name, rest = quotedName(rest[1:])
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			name, rest = lower(strings.TrimRight(rest[:end], " \t\n\r\f\v")), rest[end:]
		}
		if name != "" {
			path = append(path, name)
		}
	}
	return path
}

// quotedName reads up to the closing quote; a doubled one stands for itself.
func quotedName(s string) (name, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:]
	}
	return b.String(), ""
}

// lower folds ASCII letters, as the server does with names in UTF-8 databases.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
