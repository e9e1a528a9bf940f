package event

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/weir-gateway/weir/internal/canonical"
)

// AppendBody appends the canonical form of an event's body to dst, shortened as
// Shorten does it. A text that is too large is left out before it is encoded.
func AppendBody(dst []byte, enc *canonical.Encoder, v any, limit int) ([]byte, []Cut, error) {
	out, texts, err := enc.AppendShort(dst, v, limit/16, limit)
	if err != nil {
		return dst, nil, err
	}
	if !texts.Omitted && len(out)-len(dst) <= limit {
		return out, nil, nil
	}
	if !texts.Opaque {
		s := shortener{}
		short := s.replace(out, texts.Long)
		if len(short)-len(dst) <= limit {
			return short, s.cuts, nil
		}
	}
	// It has many small parts.
	whole, err := enc.Append(nil, v)
	if err != nil {
		return dst, nil, err
	}
	short, cuts, err := Shorten(whole, limit)
	if err != nil {
		return dst, nil, err
	}
	return append(dst, short...), cuts, nil
}

// replace returns a copy of body with each long text cut.
func (s *shortener) replace(body []byte, long []canonical.LongText) []byte {
	var out []byte
	done := 0
	for _, l := range long {
		text := repair(l.Text)
		if len(text) <= headBytes {
			continue
		}
		out = append(out, body[done:l.Start]...)
		out = s.cut(out, text, "text")
		done = l.End
	}
	return append(out, body[done:]...)
}

// repair returns a text as its canonical form says it.
func repair(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	again, err := jsontext.AppendUnquote(nil, canonical.AppendString(nil, text))
	if err != nil {
		panic(err) // AppendString writes strings
	}
	return string(again)
}
