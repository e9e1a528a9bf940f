package http

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// ServeExchange implements extproc.ExchangeHandler.
func (h *Handler) ServeExchange(ctx context.Context, e extproc.Exchange) {
	req := e.Request()
	principal, refused := h.signIn(ctx, e.Peer(), req)
	if refused != nil {
		h.refuse(ctx, e, refused)
		return
	}
	live := h.sessions.acquire(ctx, principal, &h.cfg.Target, e.Peer(), req.Header.Get("User-Agent"))
	if live == nil {
		h.refuse(ctx, e, h.tooMany(ctx, e.Peer(), req))
		return
	}
	x := &exchange{Handler: h, Exchange: e, live: live, started: time.Now()}
	defer func() { h.sessions.release(live, x.in, x.out) }()
	if refused := opened(live); refused != nil {
		h.refuse(ctx, e, refused)
		return
	}
	if refused := x.judge(ctx, req); refused != nil {
		h.refuse(ctx, e, refused)
		return
	}
	x.forward(ctx, req)
}

// CheckHeaders implements extproc.HeaderHandler: a decision on headers alone,
// for routes whose bodies neither policy nor masks need.
func (h *Handler) CheckHeaders(ctx context.Context, _ string, p extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
	principal, refused := h.signIn(ctx, p, r)
	if refused != nil {
		return nil, refused
	}
	live := h.sessions.acquire(ctx, principal, &h.cfg.Target, p, r.Header.Get("User-Agent"))
	if live == nil {
		return nil, h.tooMany(ctx, p, r)
	}
	defer h.sessions.release(live, 0, 0)
	if refused := opened(live); refused != nil {
		return nil, refused
	}
	strip(r.Header)
	op, _, err := operation(r, 0, false)
	if err != nil {
		return nil, unavailable("internal", "the request could not be read")
	}
	d, err := h.deps.Gate.Check(ctx, live.Session, op, nil)
	switch {
	case err != nil:
		return nil, h.checkFailed(ctx, err)
	case d.Effect != gate.Allow:
		return nil, denial(&d)
	case len(d.Mask) > 0 || d.Limits != (gate.Limits{}):
		return nil, refusal(http.StatusForbidden, "needs_body",
			"the policy masks or limits this response, and this target is inspected by headers only",
			"Ask the gateway's operator to set `inspect: body` for this target.")
	}
	if refused := h.inject(ctx, r.Header); refused != nil {
		return nil, refused
	}
	if err := h.deps.Gate.Complete(ctx, live.Session, op.ID, gate.Outcome{Status: "released"}); err != nil {
		return nil, h.checkFailed(ctx, err)
	}
	return r, nil
}

// signIn finds out who asks. The token never goes further than this.
func (h *Handler) signIn(ctx context.Context, p extproc.Peer, r *extproc.Request) (*gate.Principal, *extproc.Refusal) {
	client := gate.Client{Address: p.Address, TLS: p.TLS, Application: r.Header.Get("User-Agent")}
	if p.TLS == "" && !loopback(p.Address) {
		h.deps.Gate.RefuseSignIn(ctx, h.cfg.Target.Name, client, "token sent in clear")
		return nil, unauthorized("a token is accepted over TLS only; use https")
	}
	token, ok := bearer(r.Header)
	if !ok {
		h.deps.Gate.RefuseSignIn(ctx, h.cfg.Target.Name, client, "no bearer token")
		return nil, unauthorized("this target needs a bearer token")
	}
	principal, err := h.deps.Identity.Authenticate(ctx, token)
	if err != nil {
		h.deps.Gate.RefuseSignIn(ctx, h.cfg.Target.Name, client, err.Error())
		refused := unauthorized(publicReason(err))
		refused.Header.Set("Www-Authenticate", `Bearer realm="weir", error="invalid_token"`)
		return nil, refused
	}
	return &principal, nil
}

// tooMany is the refusal of a session more than the target may have.
func (h *Handler) tooMany(ctx context.Context, p extproc.Peer, r *extproc.Request) *extproc.Refusal {
	client := gate.Client{Address: p.Address, TLS: p.TLS, Application: r.Header.Get("User-Agent")}
	h.deps.Gate.RefuseSignIn(ctx, h.cfg.Target.Name, client, "too many sessions")
	return refusal(http.StatusServiceUnavailable, "too_many_sessions",
		"this target has as many sessions as it may", "Use a token that is in use already, or try again later.")
}

// publicReason is what a stranger may be told of a failed sign-in.
func publicReason(err error) string {
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return public.Public()
	}
	return "the token was not accepted"
}

func opened(live *liveSession) *extproc.Refusal {
	switch {
	case live.err != nil:
		return unavailable("evidence_unavailable", "the gateway cannot record this session, so nothing is forwarded")
	case live.decision.Effect != gate.Allow:
		return denial(&live.decision)
	}
	return nil
}

// checkFailed is the refusal when there is no decision or no record of it.
func (h *Handler) checkFailed(ctx context.Context, err error) *extproc.Refusal {
	if errors.Is(err, context.Canceled) {
		return unavailable("withdrawn", "the client left before the request was decided")
	}
	h.deps.Log.ErrorContext(ctx, "request refused", "target", h.cfg.Target.Name, "err", err)
	if errors.Is(err, gate.ErrRecord) {
		return unavailable("evidence_unavailable", "the gateway cannot record this request, so it is not forwarded")
	}
	return unavailable("undecided", "the gateway could not decide on this request, so it is not forwarded")
}

// inject sets the target's own credentials.
func (h *Handler) inject(ctx context.Context, header http.Header) *extproc.Refusal {
	for name, template := range h.cfg.Inject {
		value, err := h.deps.Secrets.Expand(ctx, template)
		if err != nil {
			h.deps.Log.ErrorContext(ctx, "a header could not be filled in", "target", h.cfg.Target.Name, "header", name, "err", err)
			return unavailable("credential_unavailable", "the gateway has no credential for target "+h.cfg.Target.Name)
		}
		header.Set(name, value)
	}
	return nil
}

func (h *Handler) refuse(ctx context.Context, e extproc.Exchange, r *extproc.Refusal) {
	if err := e.Refuse(r.Status, r.Header, r.Body); err != nil {
		h.deps.Log.DebugContext(ctx, "the client did not take the refusal", "target", h.cfg.Target.Name, "err", err)
	}
}

func loopback(address string) bool {
	ip := net.ParseIP(hostOf(address))
	return ip != nil && ip.IsLoopback()
}
