package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Effect is what a decision says. The zero value denies.
type Effect uint8

// The effects.
const (
	Deny Effect = iota
	Hold
	Allow
)

var effectNames = [...]string{"deny", "hold", "allow"}

func (e Effect) String() string {
	if int(e) < len(effectNames) {
		return effectNames[e]
	}
	return effectNames[Deny]
}

// MarshalText writes the effect's name.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads an effect's name; an unknown one is an error.
func (e *Effect) UnmarshalText(text []byte) error {
	for i, name := range effectNames {
		if name == string(text) {
			*e = Effect(i)
			return nil
		}
	}
	return fmt.Errorf("unknown effect %q", text)
}

// Denial is one reason to refuse, in words that the asker can act on.
type Denial struct {
	Code    string `json:"code"`           // stable, for machines: "no_where"
	Message string `json:"message"`        // what was refused and why
	Hint    string `json:"hint,omitempty"` // what is allowed instead
}

// Requirement is one approval that an operation needs before it may go on.
type Requirement struct {
	Rule      string        `json:"rule"`
	Approvers []string      `json:"approvers"` // roles, any of which may vote
	Required  int           `json:"required"`  // votes, at least 1
	TTL       time.Duration `json:"ttl"`       // nanoseconds
	Reason    string        `json:"reason,omitempty"`
}

// Mask is an obligation to hide values before they are delivered. Exactly one
// of Class, Column ("schema.table.column") and Path (JSONPath) says which.
type Mask struct {
	Class  string `json:"class,omitempty"`
	Column string `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	MaskSpec
}

// MaskSpec says how a value is hidden.
type MaskSpec struct {
	With      string `json:"with"` // redact, null, partial, hash, date_trunc, range, fake
	KeepFirst int    `json:"keep_first,omitempty"`
	KeepLast  int    `json:"keep_last,omitempty"`
	Unit      string `json:"unit,omitempty"` // date_trunc: year, month, day, hour
	Size      int    `json:"size,omitempty"` // range: width of a bucket
	// Derived says what becomes of values that are only computed from a hidden one:
	// DerivedAllow or DerivedRefuse; anything else means DerivedMask.
	Derived string `json:"derived,omitempty"`
}

// What may become of a value that is computed from a hidden one.
const (
	DerivedMask   = "mask"   // it is redacted whole
	DerivedAllow  = "allow"  // it passes as it is
	DerivedRefuse = "refuse" // the library refuses the statement; where a rule waives that, it is redacted
)

// Limits bound what one operation may return. Zero means unlimited.
type Limits struct {
	MaxRows  int64         `json:"max_rows,omitempty"`
	MaxBytes int64         `json:"max_bytes,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"` // nanoseconds
}

// Record says how much of an operation's payload is kept.
type Record string

// The recording levels. Anything but RecordMetadata keeps everything.
const (
	RecordFull     Record = "full"
	RecordMetadata Record = "metadata"
)

// Decision is what policy answered about one operation.
type Decision struct {
	ID       string        `json:"id"`
	Effect   Effect        `json:"effect"`
	Deny     []Denial      `json:"deny,omitempty"`
	Hold     []Requirement `json:"hold,omitempty"`
	Mask     []Mask        `json:"mask,omitempty"`
	Limits   Limits        `json:"limits"`
	Record   Record        `json:"record,omitempty"`
	Revision string        `json:"revision"`        // the bundle's hash
	Millis   float64       `json:"ms"`              // evaluation time
	Rules    []string      `json:"rules,omitempty"` // that fired
	Approval string        `json:"approval,omitempty"`
}

// Denied makes a decision that refuses for one reason.
func Denied(code, message, hint string) Decision {
	return Decision{Deny: []Denial{{Code: code, Message: message, Hint: hint}}}
}

// Reason is the refusal in one line for people: every message with its code.
func (d *Decision) Reason() string {
	if len(d.Deny) == 0 {
		return "no rule allows this (default_deny)"
	}
	parts := make([]string, len(d.Deny))
	for i, r := range d.Deny {
		parts[i] = fmt.Sprintf("%s (%s)", r.Message, r.Code)
	}
	return strings.Join(parts, "; ")
}

// Code is the first denial's code, "default_deny" where no rule spoke.
func (d *Decision) Code() string {
	if len(d.Deny) == 0 {
		return "default_deny"
	}
	return d.Deny[0].Code
}

// Hint says what is allowed instead, as far as the rules know it, each thing once.
func (d *Decision) Hint() string {
	var hints []string
	for _, r := range d.Deny {
		if r.Hint != "" && !slices.Contains(hints, r.Hint) {
			hints = append(hints, r.Hint)
		}
	}
	return strings.Join(hints, " ")
}
