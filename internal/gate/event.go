package gate

import "time"

// EventKind names what an event is about.
type EventKind string

// The kinds of event (docs/evidence.md says what each holds).
const (
	SessionOpened      EventKind = "session.opened"
	SessionRefused     EventKind = "session.refused"
	SessionClosed      EventKind = "session.closed"
	OperationRequested EventKind = "operation.requested"
	OperationCompleted EventKind = "operation.completed"
	ApprovalRequested  EventKind = "approval.requested"
	ApprovalVoted      EventKind = "approval.voted"
	ApprovalResolved   EventKind = "approval.resolved"
	ConfigActivated    EventKind = "config.activated"
	PolicyActivated    EventKind = "policy.activated"
)

// Event is one fact. The recorder gives it its id, writer and sequence number.
type Event struct {
	Kind      EventKind
	Time      time.Time
	Session   string // id, empty for events outside a session
	Operation string // id, empty for events outside an operation
	Target    string
	Subject   string // of the principal
	Body      any    // marshalled as JSON
}

// Stream says which way the bytes of a payload went.
type Stream string

// The streams of a payload.
const (
	RequestStream  Stream = "request"  // from the client, as sent
	ResponseStream Stream = "response" // to the client, as delivered (masked)
	OriginalStream Stream = "original" // what a mask replaced; sealed before it is kept
)

// Payload is a piece of the protocol bytes of one operation, in order within
// its stream. Data belongs to the caller again when the call returns.
type Payload struct {
	Session   string
	Operation string
	Target    string
	Stream    Stream
	Data      []byte
}

// Outcome is how an operation ended.
type Outcome struct {
	Status string         `json:"status"` // "ok", "error", "refused", "aborted"
	Error  string         `json:"error,omitempty"`
	Code   string         `json:"code,omitempty"` // SQLSTATE or HTTP status
	Tag    string         `json:"tag,omitempty"`  // command tag
	Rows   int64          `json:"rows"`
	Bytes  int64          `json:"bytes"` // delivered to the client
	Millis float64        `json:"ms"`
	Masked map[string]int `json:"masked,omitempty"` // class → values replaced
	// Detected are detectors with how many passages they found; Masked counts them too.
	Detected map[string]int `json:"detected,omitempty"`
	Digest   string         `json:"digest,omitempty"` // hex SHA-256 of what was delivered
}
