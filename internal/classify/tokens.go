package classify

import (
	"strings"
	"unicode"
)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// maxName is the longest name that is looked into, in bytes; PostgreSQL's have 63.
const maxName = 256

// letters writes what is no ASCII letter as such: those of the languages of the dictionary.
var letters = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "á", "a", "à", "a", "â", "a", "ã", "a", "å", "a", "ç", "c",
	"é", "e", "è", "e", "ê", "e", "ë", "e", "í", "i", "ì", "i", "î", "i", "ï", "i", "ñ", "n", "ó", "o", "ò", "o", "ô", "o", "õ", "o",
	"ú", "u", "ù", "u", "û", "u", "ł", "l", "ś", "s", "ę", "e", "ą", "a", "ø", "o", "æ", "ae")

// tokens are the words of a name, in lower case: first_name, firstName, FirstName and
// "first name" have the same. Digits are no words.
func tokens(name string) []string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	var out []string
	var current []rune
	end := func() {
		if len(current) > 0 {
			out = append(out, letters.Replace(strings.ToLower(string(current))))
			current = current[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0:
			before, after := runes[i-1], rune(0)
			if i+1 < len(runes) {
				after = runes[i+1]
			}
			if unicode.IsLower(before) || unicode.IsUpper(before) && unicode.IsLower(after) { // emailAddress, IPAddress
				end()
			}
		}
		current = append(current, r)
	}
	end()
	return out
}

// aboutPeople says that one of the names has a word for people.
func aboutPeople(names ...string) bool {
	for _, n := range names {
		for _, t := range tokens(n) {
			if isPeople(t) {
				return true
			}
		}
	}
	return false
}

func isPeople(t string) bool { return peopleWords[t] || peopleWords[strings.TrimSuffix(t, "s")] }

// meaning is what a name says.
type meaning struct {
	word
	words string // of the name, that said it: "first name"
}

// mostWords is how many words of a name are looked up together.
const mostWords = 5

// read finds what a name stands for, in a place (a table, a JSON key above it) that is
// about people or not. Of several meanings the strongest counts, and of those the last:
// email_verification_token is a token.
func read(name string, people bool) (best meaning, ok bool) {
	words := tokens(name)
	for start := range words {
		for end := min(len(words), start+mostWords); end > start; end-- {
			w, known := lookUp(strings.Join(words[start:end], ""))
			if !known {
				continue
			}
			if w, known = inPlace(w, words, start, end, people); known && w.strength >= best.strength {
				best, ok = meaning{w, strings.Join(words[start:end], " ")}, true
			}
			break // a longer match has said all that a shorter one there says
		}
	}
	return best, ok
}

func lookUp(joined string) (word, bool) {
	if w, ok := dictionary[joined]; ok {
		return w, true
	}
	w, ok := dictionary[strings.TrimSuffix(joined, "s")]
	return w, ok
}

// inPlace weighs a word by what stands around it.
func inPlace(w word, words []string, start, end int, people bool) (word, bool) {
	for _, t := range words[end:] {
		if behind[t] {
			return word{}, false
		}
	}
	if start > 0 && (before[words[start-1]] || w.class == address && elsewhere[words[start-1]]) {
		return word{}, false
	}
	if !w.people {
		return w, true
	}
	switch near := start > 0 && isPeople(words[start-1]); {
	case near, people && (start == 0 || w.class != person):
		return w, true
	case w.class == person: // file_name, the name of a product
		return word{}, false
	}
	w.strength = weak
	return w, true
}
