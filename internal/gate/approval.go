package gate

import "time"

// ApprovalState is where an approval stands. The zero value is not approved.
type ApprovalState string

// The states of an approval; all but Pending are final.
const (
	Pending   ApprovalState = "pending"
	Approved  ApprovalState = "approved"
	Refused   ApprovalState = "denied"
	Expired   ApprovalState = "expired"
	Withdrawn ApprovalState = "withdrawn" // the requester went away
)

// Vote is one approver's word about exactly one operation.
type Vote struct {
	Approver Principal `json:"approver"`
	Approve  bool      `json:"approve"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// Approval is a held operation that waits for people.
type Approval struct {
	ID          string        `json:"id"`
	State       ApprovalState `json:"state"`
	Session     string        `json:"session"`
	Target      Target        `json:"target"`
	Requester   Principal     `json:"requester"`
	Operation   Operation     `json:"operation"`
	ContentHash string        `json:"content_hash"`
	Needs       []Requirement `json:"needs"`
	Requested   time.Time     `json:"requested"`
	Expires     time.Time     `json:"expires"`
	Votes       []Vote        `json:"votes"`
}
