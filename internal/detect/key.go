package detect

import "bytes"

// keyForm is a kind of key that is known by its prefix.
type keyForm struct {
	prefix string
	anchor int // of the prefix: where the scanner stops
	least  int // characters behind the prefix
	most   int // unbounded: all that there are
	set    func(c byte) bool
}

const unbounded = 0

func isUpper(c byte) bool { return isDigit(c) || c-'A' < 26 }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

func isBase64(c byte) bool { return isAlnum(c) || c == '+' || c == '/' || c == '=' }

func isDotted(c byte) bool { return isBase64URL(c) || c == '.' }

// keyForms are those that their makers publish, so that leaks can be found.
var keyForms = []keyForm{
	{"AKIA", 1, 16, 16, isUpper}, // AWS access key ids
	{"ASIA", 2, 16, 16, isUpper},
	{"AIza", 2, 35, 35, isBase64URL},                // Google API keys
	{"GOCSPX-", 6, 28, 28, isBase64URL},             // Google OAuth client secrets
	{"ya29.", 4, 40, unbounded, isBase64URL},        // Google access tokens
	{"AccountKey=", 7, 86, 88, isBase64},            // Azure Storage
	{"SharedAccessKey=", 12, 43, 44, isBase64},      // Azure Service Bus, Event Hubs
	{"ghp_", 3, 36, unbounded, isAlnum},             // GitHub
	{"gho_", 3, 36, unbounded, isAlnum},             //
	{"ghu_", 3, 36, unbounded, isAlnum},             //
	{"ghs_", 3, 36, unbounded, isAlnum},             //
	{"ghr_", 3, 36, unbounded, isAlnum},             //
	{"github_pat_", 10, 36, unbounded, isBase64URL}, //
	{"glpat-", 5, 20, unbounded, isDotted},          // GitLab
	{"xoxb-", 4, 10, unbounded, isBase64URL},        // Slack
	{"xoxp-", 4, 10, unbounded, isBase64URL},        //
	{"xoxa-", 4, 10, unbounded, isBase64URL},        //
	{"xoxr-", 4, 10, unbounded, isBase64URL},        //
	{"xoxs-", 4, 10, unbounded, isBase64URL},        //
	{"xapp-", 4, 10, unbounded, isBase64URL},        //
	{"hooks.slack.com/services/", 24, 24, unbounded, isBase64},
	{"sk_live_", 7, 16, unbounded, isAlnum},     // Stripe
	{"rk_live_", 7, 16, unbounded, isAlnum},     //
	{"whsec_", 5, 32, unbounded, isBase64},      //
	{"npm_", 3, 36, 36, isAlnum},                // npm
	{"dop_v1_", 6, 64, 64, isAlnum},             // DigitalOcean
	{"sk-ant-", 6, 32, unbounded, isBase64URL},  // Anthropic
	{"sk-proj-", 7, 32, unbounded, isBase64URL}, // OpenAI
	{"hf_", 2, 34, 34, isAlnum},                 // Hugging Face
	{"SG.", 2, 66, 66, isDotted},                // SendGrid
	{"shpat_", 5, 32, 32, isAlnum},              // Shopify
	{"hvs.", 3, 24, unbounded, isBase64URL},     // HashiCorp Vault
	{"AGE-SECRET-KEY-1", 14, 58, 58, isUpper},   // age
}

// keysAt are the forms by the byte at their anchor.
var keysAt = func() (at [256][]keyForm) {
	for _, f := range keyForms {
		c := f.prefix[f.anchor]
		at[c] = append(at[c], f)
	}
	return at
}()

// key is at the anchor of a key. It returns where to go on.
func (s *scanner) key(i int) int {
	forms := keysAt[s.text[i]]
	for f := range forms {
		form := &forms[f]
		start := i - form.anchor
		if start < s.from || !hasPrefix(s.text, start, form.prefix) {
			continue
		}
		if end := form.end(s.text, start+len(form.prefix)); end > 0 && (form.most == unbounded || !isAlnum(s.at(start-1)) || s.escaped(start)) {
			return s.add(start, end, CloudKeys)
		}
	}
	if s.text[i]|0x20 == 'y' {
		return s.awsSecret(i)
	}
	return i + 1
}

// awsSecret is at a y. A secret access key of AWS has no prefix: 40 characters behind
// the name of its variable, field or setting. It returns where to go on.
func (s *scanner) awsSecret(i int) int {
	if !endsFold(s.text[:i+1], "secretaccesskey") && !endsFold(s.text[:i+1], "secret_access_key") {
		return i + 1
	}
	start := i + 1
	for start < len(s.text) && start < i+8 && bytes.IndexByte([]byte("\\\"': \t=>"), s.text[start]) >= 0 {
		start++
	}
	end := start
	for end < len(s.text) && end-start <= 40 && isBase64(s.text[end]) {
		end++
	}
	if start == i+1 || end-start != 40 {
		return i + 1
	}
	return s.add(start, end, CloudKeys)
}

// endsFold says whether a text ends in a word, whatever the case of the text.
func endsFold(text []byte, word string) bool {
	return len(text) >= len(word) && bytes.EqualFold(text[len(text)-len(word):], []byte(word))
}

// end is where a key ends whose prefix ends at i, 0 where it is none.
func (f *keyForm) end(text []byte, i int) int {
	start := i
	for i < len(text) && f.set(text[i]) && (f.most == unbounded || i-start <= f.most) {
		i++
	}
	if i-start < f.least || f.most != unbounded && i-start > f.most {
		return 0
	}
	return i
}
