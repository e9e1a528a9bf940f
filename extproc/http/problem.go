package http

import (
	"encoding/json"
	"net/http"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// problem is an answer of the gateway's own (RFC 9457), in words that a model
// can act on.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Rule     string `json:"rule"`
	Hint     string `json:"hint,omitempty"`
	Decision string `json:"decision,omitempty"`
	Approval string `json:"approval,omitempty"`
}

func refusal(status int, rule, detail, hint string) *extproc.Refusal {
	return problem{Status: status, Rule: rule, Detail: detail, Hint: hint}.refusal()
}

// denial is the refusal of what policy denied.
func denial(d *gate.Decision) *extproc.Refusal {
	hint := d.Hint()
	if hint == "" {
		hint = "Ask for something that the policy of this target allows, or ask its owner for a rule."
	}
	return problem{
		Status: http.StatusForbidden, Rule: d.Code(), Detail: d.Reason(), Hint: hint,
		Decision: d.ID, Approval: d.Approval,
	}.refusal()
}

func unauthorized(detail string) *extproc.Refusal {
	r := refusal(http.StatusUnauthorized, "sign_in", detail,
		"Send `Authorization: Bearer TOKEN`; `weir token` gets one.")
	r.Header.Set("Www-Authenticate", `Bearer realm="weir"`)
	return r
}

// unavailable is the refusal when a part of the gateway is not working.
func unavailable(rule, detail string) *extproc.Refusal {
	return refusal(http.StatusServiceUnavailable, rule, detail, "Try again later; the gateway's operator finds the reason in its log.")
}

func (p problem) refusal() *extproc.Refusal {
	p.Type = "about:blank"
	p.Title = http.StatusText(p.Status)
	body, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		body = []byte(`{"status":500}`) // strings always marshal
	}
	header := http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
	return &extproc.Refusal{Status: p.Status, Header: header, Body: append(body, '\n')}
}
