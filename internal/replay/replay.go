// Package replay prints a recorded session as it happened: each statement or
// request, what was decided, and what the client received, byte for byte as it
// was delivered. It reads recorded items only and asks no server.
package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/web"
)

// DefaultRows is how many rows of each result are printed.
const DefaultRows = 20

// Options say how much is printed.
type Options struct {
	Rows int // of each result; 0 means DefaultRows, less than 0 all
}

// Print writes a session to w. Items come in the order in which they happened.
func Print(w io.Writer, items iter.Seq2[web.ReplayItem, error], o Options) error {
	if o.Rows == 0 {
		o.Rows = DefaultRows
	}
	p := &printer{w: w, rows: o.Rows, responses: map[string]*bytes.Buffer{}, protocol: map[string]string{}}
	for item, err := range items {
		if err != nil {
			return err
		}
		if err := p.item(&item); err != nil {
			return fmt.Errorf("%s at %s: %w", item.Kind, item.At.Format(time.RFC3339Nano), err)
		}
	}
	return p.err
}

type printer struct {
	w         io.Writer
	rows      int
	err       error
	responses map[string]*bytes.Buffer // delivered bytes of operations under way
	protocol  map[string]string        // of operations under way
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) item(i *web.ReplayItem) error {
	switch gate.EventKind(i.Kind) {
	case "payload":
		p.payload(i)
		return nil
	case gate.SessionOpened:
		return p.opened(i)
	case gate.SessionClosed:
		return p.closed(i)
	case gate.OperationRequested:
		return p.requested(i)
	case gate.OperationCompleted:
		return p.completed(i)
	case gate.ApprovalRequested, gate.ApprovalVoted, gate.ApprovalResolved:
		return p.approval(i)
	default:
		p.printf("%s  %s\n", clock(i.At), i.Kind)
		return nil
	}
}

func (p *printer) payload(i *web.ReplayItem) {
	if i.Stream != gate.ResponseStream {
		return
	}
	b := p.responses[i.Operation]
	if b == nil {
		b = &bytes.Buffer{}
		p.responses[i.Operation] = b
	}
	b.Write(i.Data)
}

// event bodies as gate writes them, as far as they are printed.
type (
	sessionBody struct {
		Principal gate.Principal
		Target    gate.Target
		Client    gate.Client
		Database  string
		Decision  gate.Decision
	}
	operationBody struct {
		Operation gate.Operation
		Decision  gate.Decision
	}
)

func (p *printer) opened(i *web.ReplayItem) error {
	var b sessionBody
	if err := json.Unmarshal(i.Body, &b); err != nil {
		return err
	}
	p.printf("%s  %s (%s) opened %s on %s", clock(i.At), b.Principal.Subject, b.Principal.Kind, b.Target.Kind, b.Target.Name)
	if b.Database != "" {
		p.printf(", database %s", b.Database)
	}
	p.printf("\n              on %s from %s", i.At.UTC().Format(time.DateOnly), b.Client.Address)
	if b.Client.TLS != "" {
		p.printf(", %s", b.Client.TLS)
	}
	if b.Client.Application != "" {
		p.printf(", %s", b.Client.Application)
	}
	for _, a := range b.Principal.OnBehalfOf {
		p.printf("\n              through %s", a.Subject)
	}
	p.printf("\n              issuer %s, policy %s\n", b.Principal.Issuer, short(b.Decision.Revision))
	return nil
}

func (p *printer) closed(i *web.ReplayItem) error {
	var b gate.Closing
	if err := json.Unmarshal(i.Body, &b); err != nil {
		return err
	}
	p.printf("\n%s  closed: %s; %d operations, %d refused\n", clock(i.At), b.Reason, b.Operations, b.Refused)
	return nil
}

func (p *printer) requested(i *web.ReplayItem) error {
	var b operationBody
	if err := json.Unmarshal(i.Body, &b); err != nil {
		return err
	}
	p.protocol[i.Operation] = b.Operation.Protocol
	p.printf("\n%s  %s\n", clock(i.At), indent(b.Operation.Text))
	if b.Operation.SQL != nil && len(b.Operation.Parameters) > 0 {
		params, err := json.Marshal(b.Operation.Parameters)
		if err != nil {
			return err
		}
		p.printf("              with %s\n", params)
	}
	d := &b.Decision
	switch d.Effect {
	case gate.Allow:
		p.printf("              allowed")
		if d.Approval != "" {
			p.printf(" with approval %s", d.Approval)
		}
		p.printf(" (decision %s)\n", d.ID)
	default:
		p.printf("              DENIED: %s (decision %s)\n", indent(d.Reason()), d.ID)
	}
	return nil
}

func (p *printer) completed(i *web.ReplayItem) error {
	var o gate.Outcome
	if err := json.Unmarshal(i.Body, &o); err != nil {
		return err
	}
	if b := p.responses[i.Operation]; b != nil {
		p.response(p.protocol[i.Operation], b.Bytes())
	}
	delete(p.responses, i.Operation)
	delete(p.protocol, i.Operation)
	p.printf("              %s", o.Status)
	if o.Tag != "" {
		p.printf(" %s", o.Tag)
	}
	if o.Code != "" {
		p.printf(" %s", o.Code)
	}
	if o.Error != "" {
		p.printf(": %s", indent(o.Error))
	}
	p.printf("; %d rows, %d bytes, %.1f ms", o.Rows, o.Bytes, o.Millis)
	for _, class := range slices.Sorted(maps.Keys(o.Masked)) {
		p.printf("; %s masked in %d", class, o.Masked[class])
	}
	p.printf("\n")
	return nil
}

func (p *printer) approval(i *web.ReplayItem) error {
	var b struct { // what a request, a vote and a resolution hold
		ID        string
		Operation gate.Operation
		Needs     []gate.Requirement
		Approval  string
		Vote      gate.Vote
		State     gate.ApprovalState
	}
	if err := json.Unmarshal(i.Body, &b); err != nil {
		return err
	}
	switch gate.EventKind(i.Kind) {
	case gate.ApprovalRequested:
		p.printf("\n%s  HELD for approval %s\n              %s\n", clock(i.At), b.ID, indent(b.Operation.Text))
		for _, n := range b.Needs {
			p.printf("              rule %s wants %d of %s\n", n.Rule, max(n.Required, 1), strings.Join(n.Approvers, ", "))
		}
	case gate.ApprovalVoted:
		word := "refused"
		if b.Vote.Approve {
			word = "approved"
		}
		p.printf("%s  %s by %s: %s\n", clock(i.At), word, b.Vote.Approver.Subject, indent(b.Vote.Reason))
	default:
		p.printf("%s  approval %s is %s\n", clock(i.At), b.Approval, b.State)
	}
	return nil
}

// response prints what the client received.
func (p *printer) response(protocol string, data []byte) {
	if protocol == "postgres" {
		p.postgres(data)
		return
	}
	p.printf("              │ %s\n", strings.Join(lines(data, p.rows), "\n              │ "))
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

func short(revision string) string { return revision[:min(len(revision), 12)] }

// indent keeps a text of several lines under its first one, and takes out what
// could move a terminal's cursor.
func indent(text string) string {
	return strings.ReplaceAll(clean(strings.TrimSpace(text)), "\n", "\n              ")
}

// clean shows control characters instead of sending them to the terminal: what
// was recorded was written by strangers.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}

func lines(data []byte, limit int) []string {
	all := strings.Split(strings.TrimRight(clean(string(data)), "\n"), "\n")
	if limit > 0 && len(all) > limit {
		rest := len(all) - limit
		all = append(all[:limit:limit], fmt.Sprintf("… %d more lines", rest))
	}
	return all
}
