package detect

import "bytes"

// mailbox is at an @. It returns where to go on.
func (s *scanner) mailbox(i int) int {
	start := i
	for start > s.from && isLocal(s.text[start-1]) {
		start--
	}
	for start < i && (s.text[start] == '.' || s.text[start] == '\'') { // a quote around it
		start++
	}
	if start == i || s.text[i-1] == '.' {
		return i + 1
	}
	end := domain(s.text, i+1)
	if end == 0 || annotates(s.text[i+1:end]) {
		return i + 1
	}
	return s.add(start, end, Email)
}

// annotates says whether a domain is none but the term of an annotation of a member
// (OData JSON Format 4.01, section 4.6: "Orders@odata.count"), or one of Dataverse's.
func annotates(domain []byte) bool {
	vocabulary, term, _ := bytes.Cut(domain, []byte{'.'})
	if !bytes.EqualFold(vocabulary, []byte("odata")) {
		return false
	}
	switch string(term) {
	case "associationLink", "bind", "context", "count", "deltaLink", "editLink", "etag", "mediaContentType", "mediaEditLink", "mediaEtag",
		"mediaReadLink", "navigationLink", "nextLink", "readLink", "type":
		return true
	default:
		return bytes.HasPrefix(term, []byte("Community.Display."))
	}
}

// isLocal says whether a byte may stand in the local part. What RFC 5322 allows
// beyond these is what separates addresses from other text in practice.
func isLocal(c byte) bool {
	return isWord(c) || c == '.' || c == '%' || c == '+' || c == '-' || c == '\''
}

// domain returns the end of the domain that begins at i, 0 where there is none: two
// labels at least, the last of which is of letters (or begins with xn--).
func domain(text []byte, i int) int {
	end := 0
	for labels := 1; ; labels++ {
		start, letters := i, true
		for i < len(text) && (isWord(text[i]) && text[i] != '_' || text[i] == '-') {
			letters = letters && !isDigit(text[i]) && text[i] != '-'
			i++
		}
		size := i - start
		if size == 0 || text[start] == '-' {
			return end
		}
		if labels > 1 && size > 1 && (letters || size > 4 && string(text[start:start+4]) == "xn--") {
			end = i
			for text[end-1] == '-' {
				end--
			}
		}
		if i == len(text) || text[i] != '.' {
			return end
		}
		i++
	}
}
