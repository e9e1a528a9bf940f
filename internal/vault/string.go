package vault

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[hidden]"

// String is a secret. However it is printed, logged or marshalled, it reads
// "[hidden]"; only Reveal gives it away. The zero String is no secret.
type String struct {
	// A pointer: fmt calls no method on an unexported field of a printed
	// struct, but it does not follow pointers there either.
	value *string
}

// Hide makes a secret of a text.
func Hide(text string) String { return String{&text} }

// Reveal is the secret itself.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty says whether there is no secret.
func (s String) Empty() bool { return s.Reveal() == "" }

func (s String) String() string { return hidden }

// GoString hides the value from %#v.
func (s String) GoString() string { return hidden }

// Format hides the value from every verb.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the value from JSON, YAML and the like.
func (s String) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the value from slog.
func (s String) LogValue() slog.Value { return slog.StringValue(hidden) }
