package gate

import "github.com/weir-gateway/weir/internal/canonical"

// Closing is the body of session.closed.
type Closing struct {
	Reason     string `json:"reason"`
	Operations int    `json:"operations"`
	Refused    int    `json:"refused"`
	BytesIn    int64  `json:"bytes_in"`  // from the client
	BytesOut   int64  `json:"bytes_out"` // to the client
}

type sessionBody struct {
	Principal Principal `json:"principal"`
	Token     Token     `json:"token"`
	Target    Target    `json:"target"`
	Client    Client    `json:"client"`
	Database  string    `json:"database,omitempty"`
	Decision  Decision  `json:"decision"`
	Input     *Input    `json:"input"`
}

type refusalBody struct {
	Client Client `json:"client"`
	Reason string `json:"reason"`
}

// operationBody holds what policy was shown as well. The operation, which is the
// larger part of that, stands there once: the input is recorded without it.
type operationBody struct {
	Operation any       `json:"operation"` // *Operation or *fixedBody
	Decision  *Decision `json:"decision"`
	Input     inputBody `json:"input"`
}

// inputBody is an Input of which the parts that a whole session has in common
// are encoded already. They hide the Input's own, and its operation.
type inputBody struct {
	Principal canonical.Raw `json:"principal"`
	Target    canonical.Raw `json:"target"`
	Operation canonical.Raw `json:"operation,omitempty"` // none
	*Input
}

// fixedBody is an Operation of which the parts that its text has in common are
// encoded already. They hide its own.
type fixedBody struct {
	Statements canonical.Raw `json:"statements"`
	Tables     canonical.Raw `json:"tables"`
	Columns    canonical.Raw `json:"columns"`
	*Operation
}

func newOperationBody(s *Session, op *Operation, d *Decision, in *Input) (*operationBody, error) {
	principal, target, err := s.constants()
	if err != nil {
		return nil, err
	}
	body := &operationBody{Operation: op, Decision: d, Input: inputBody{Principal: principal, Target: target, Input: in}}
	if op != nil && op.SQL != nil && op.fixed != nil {
		f := op.fixed
		body.Operation = &fixedBody{Statements: f.statements, Tables: f.tables, Columns: f.columns, Operation: op}
	}
	return body, nil
}
