package canonical

import (
	stdjson "encoding/json"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Marshal returns v as JSON in canonical form (RFC 8785): sorted names, no
// white space, one way to write each number and string. Types are marshalled as
// encoding/json does it.
//
// RFC 8785 knows IEEE 754 doubles only. A number that would lose precision as
// one is written as a string of its exact digits (RFC 7493, section 2.2).
// Strings that are no valid UTF-8 have the offending bytes replaced by U+FFFD:
// their exact bytes are in the payload.
func Marshal(v any) ([]byte, error) {
	raw, err := json.Marshal(v,
		jsonv1.DefaultOptionsV1(),
		json.Deterministic(false), // the canonical form sorts
		jsontext.EscapeForHTML(false),
		jsontext.EscapeForJS(false),
		json.WithMarshalers(exactNumbers),
	)
	if err != nil {
		return nil, fmt.Errorf("event body: %w", err)
	}
	return Form(raw)
}

// Form turns any JSON text into its canonical form.
func Form(raw []byte) ([]byte, error) {
	value := jsontext.Value(quoteInexact(raw))
	if err := value.Canonicalize(jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	return value, nil
}

// exactNumbers keeps encoding/json's Number a number.
var exactNumbers = json.MarshalToFunc(func(enc *jsontext.Encoder, n stdjson.Number) error {
	if n == "" {
		n = "0"
	}
	return enc.WriteValue(jsontext.Value(n))
})
