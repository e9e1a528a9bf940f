package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/weir-gateway/weir/internal/canonical"
)

// headBytes is how much of a cut text stays readable in its event.
const headBytes = 256

// Cut is a text that was too large for its event. Its digest stands in the
// event; the text itself is kept beside it under the same digest.
type Cut struct {
	Digest string // hex SHA-256 of Text
	Text   string // a string's exact bytes, or the JSON of a list or object
}

// Shorten returns a body of at most about limit bytes. It replaces the large
// texts, lists and objects of a larger one by {"$cut": {…}} and returns them,
// each once. The body is canonical before and after. Nothing is dropped.
func Shorten(body []byte, limit int) ([]byte, []Cut, error) {
	if len(body) <= limit {
		return body, nil, nil
	}
	// Texts first. A body of many small parts needs its lists cut as well.
	passes := []shortener{
		{keep: limit / 16},
		{keep: limit / 16, whole: true},
		{keep: 2 * headBytes, whole: true},
	}
	for i := range passes {
		s := &passes[i]
		short, err := s.value(jsontext.Value(body), 0)
		if err == nil {
			short, err = canonical.Form(short)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("event too large, and it could not be cut: %w", err)
		}
		if len(short) <= limit || i == len(passes)-1 {
			return short, s.cuts, nil
		}
	}
	return body, nil, nil
}

type shortener struct {
	keep  int  // bytes up to which a value stays as it is
	whole bool // cut lists and objects whole, below the body's own members
	cuts  []Cut
}

// value returns v, shortened where it is longer than what may stay.
func (s *shortener) value(v jsontext.Value, depth int) ([]byte, error) {
	if len(v) <= s.keep {
		return v, nil
	}
	switch v.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return nil, err
		}
		if len(text) <= headBytes {
			return v, nil
		}
		return s.cut(nil, string(text), "text"), nil
	case '{', '[':
		if s.whole && depth > 1 {
			return s.cut(nil, string(v), "json"), nil
		}
		return members(v, func(member jsontext.Value) ([]byte, error) { return s.value(member, depth+1) })
	default:
		return v, nil
	}
}

// members returns a list or an object with each of its values changed.
func members(v jsontext.Value, change func(member jsontext.Value) ([]byte, error)) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(v), jsontext.AllowDuplicateNames(true))
	open, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	object, end := open.Kind() == '{', jsontext.Kind(']')
	if object {
		end = '}'
	}
	out := []byte{v[0]}
	for dec.PeekKind() != end {
		member, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if object {
			out = append(append(out, member...), ':')
			if member, err = dec.ReadValue(); err != nil {
				return nil, err
			}
		}
		changed, err := change(member)
		if err != nil {
			return nil, err
		}
		out = append(out, changed...)
	}
	return append(out, byte(end)), nil
}

// cut keeps text aside and appends what stands in its place.
func (s *shortener) cut(dst []byte, text, form string) []byte {
	i := slices.IndexFunc(s.cuts, func(c Cut) bool { return c.Text == text })
	if i < 0 {
		sum := sha256.Sum256(unsafe.Slice(unsafe.StringData(text), len(text))) // it is large: not copied
		i = len(s.cuts)
		s.cuts = append(s.cuts, Cut{Digest: hex.EncodeToString(sum[:]), Text: text})
	}
	head := text[:min(headBytes, len(text))]
	for len(head) > 0 && !utf8.ValidString(head) {
		head = head[:len(head)-1]
	}
	dst = fmt.Appendf(dst, `{"$cut":{"bytes":%d,"form":%q,"head":`, len(text), form)
	dst = canonical.AppendString(dst, head)
	return fmt.Appendf(dst, `,"sha256":%q}}`, s.cuts[i].Digest)
}

// Restore puts the texts that Shorten cut back into a body. text returns the one
// with a digest, and whether it is still kept; of one that is not, the beginning
// stands with a mark of what is missing.
func Restore(body []byte, text func(digest string) ([]byte, bool, error)) ([]byte, error) {
	if !bytes.Contains(body, []byte(`{"$cut":{`)) {
		return body, nil
	}
	return restore(body, text)
}

// cutMark is what stands in place of a cut text.
type cutMark struct {
	Cut struct {
		Bytes  int    `json:"bytes"`
		Form   string `json:"form"`
		Head   string `json:"head"`
		Digest string `json:"sha256"`
	} `json:"$cut"`
}

func restore(v jsontext.Value, text func(string) ([]byte, bool, error)) ([]byte, error) {
	if bytes.HasPrefix(v, []byte(`{"$cut":{`)) {
		var mark cutMark
		if json.Unmarshal(v, &mark, json.RejectUnknownMembers(true)) == nil {
			return mark.restore(text)
		}
	}
	if k := v.Kind(); k != '{' && k != '[' {
		return v, nil
	}
	return members(v, func(member jsontext.Value) ([]byte, error) { return restore(member, text) })
}

func (m *cutMark) restore(text func(string) ([]byte, bool, error)) ([]byte, error) {
	whole, kept, err := text(m.Cut.Digest)
	if err != nil {
		return nil, err
	}
	if kept {
		sum := sha256.Sum256(whole)
		if hex.EncodeToString(sum[:]) != m.Cut.Digest {
			return nil, fmt.Errorf("the text kept as %s is not the one that was recorded", m.Cut.Digest)
		}
		if m.Cut.Form == "json" {
			return whole, nil
		}
	} else {
		whole = fmt.Appendf(nil, "%s… (the first of %d bytes; the others are no longer kept)", m.Cut.Head, m.Cut.Bytes)
	}
	out, _ := jsontext.AppendQuote(nil, whole) // its error only says that U+FFFD stands for a bad byte
	return out, nil
}
