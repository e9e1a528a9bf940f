package extproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// phase is how far an exchange has come.
type phase uint8

const (
	phaseAsked      phase = iota // nothing was forwarded
	phaseForwarded               // the request goes to the target
	phaseResponding              // the response goes to the client
	phaseResponded               // all of it was handed to Envoy
	phaseRefused                 // the gateway answered
)

// exchange implements Exchange.
type exchange struct {
	s      *stream
	target string
	peer   Peer
	before *head // the request as the client sent it
	req    *Request
	body   *body // of the request

	mu       sync.Mutex
	phase    phase
	upstream *head // the response as the target sent it
	relayed  body  // of the response
}

var _ Exchange = (*exchange)(nil)

// serveExchange hands the stream of an HTTP request to the target's handler.
func (s *Server) serveExchange(ctx context.Context, st *stream, target string, before *head, m *extprocv3.ProcessingRequest) error {
	handler, ok := s.handlers.Exchange(target)
	if !ok {
		return s.turnAway(ctx, st, target, refusedTarget, http.StatusForbidden)
	}
	e := newExchange(st, target, before, m)
	go st.receive()
	ok = s.run(ctx, target, func() { handler.ServeExchange(ctx, e) })
	if !e.conclude() && ok {
		s.metrics.refuse(refusedNoAnswer)
		s.log.ErrorContext(ctx, "ext_proc: a handler left a request without an answer", "target", target)
	}
	st.closeReads()
	err := st.finish()
	if cause := st.broken(); cause != nil {
		s.logBroken(ctx, target, cause)
	}
	return err
}

func newExchange(st *stream, target string, before *head, m *extprocv3.ProcessingRequest) *exchange {
	end := m.GetRequestHeaders().GetEndOfStream()
	e := &exchange{s: st, target: target, peer: attributePeer(m), before: before}
	st.half[request].ended = end
	trailer := http.Header{}
	e.body = &body{s: st, dir: request, trailer: trailer}
	e.req = &Request{
		Method: before.method, Scheme: before.scheme, Authority: before.authority, Path: before.path,
		Header: before.header.Clone(), Body: e.body, HasBody: !end, Trailer: trailer,
	}
	return e
}

func (e *exchange) Target() string    { return e.target }
func (e *exchange) Peer() Peer        { return e.peer }
func (e *exchange) Request() *Request { return e.req }

// Forward implements Exchange.
func (e *exchange) Forward(ctx context.Context, r *Request) (*Response, error) {
	changed := !e.body.isAll(r.Body)
	if e.hasNoBody() && changed {
		if err := mustBeEmpty(r.Body, "a request"); err != nil {
			return nil, err
		}
	}
	var c change
	if err := c.request(e.before, r, changed); err != nil {
		return nil, err
	}
	if err := e.advance(phaseAsked, phaseForwarded); err != nil {
		return nil, err
	}
	if err := e.s.answerRequest(c.mutation()); err != nil {
		return nil, err
	}
	if !e.hasNoBody() {
		go e.forwardBody(r)
	}
	return e.awaitResponse(ctx)
}

// hasNoBody says that the request's headers were all of it.
func (e *exchange) hasNoBody() bool { return !e.req.HasBody }

// mustBeEmpty refuses a body where the message came without one: Envoy has
// nowhere to put it.
func mustBeEmpty(r io.Reader, what string) error {
	n, err := io.ReadFull(r, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("%w: a body for %s that has none", ErrNotMutable, what)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// forwardBody sends the request's body while the handler waits for the response
// and answers it. When the handler's body fails, so does the exchange: half a
// request must not pass for a whole one.
func (e *exchange) forwardBody(r *Request) {
	defer func() {
		if v := recover(); v != nil {
			e.abort(fmt.Errorf("the request's body panicked: %v", v))
		}
	}()
	if err := e.s.relay(r.Body, e.body, r.Trailer); err != nil {
		e.abort(fmt.Errorf("forwarding the request's body: %w", err))
	}
}

// fromTarget is what Envoy says of a response that is the target's own.
const fromTarget = "via_upstream"

// awaitResponse waits for the response's headers. Where the target did not answer,
// Envoy does; that is an error, not a response.
func (e *exchange) awaitResponse(ctx context.Context) (*Response, error) {
	h, err := e.s.awaitHeaders(ctx)
	if err != nil {
		return nil, err
	}
	e.s.mu.Lock()
	from := e.s.responseFrom
	e.s.mu.Unlock()
	if from != "" && from != fromTarget {
		return nil, fmt.Errorf("%w: %s", ErrUpstreamRefused, from)
	}
	up := readHead(h.GetHeaders())
	trailer := http.Header{}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.upstream = up
	e.relayed = body{s: e.s, dir: response, trailer: trailer, none: h.GetEndOfStream()}
	return &Response{Status: up.status, Header: up.header.Clone(), Body: &e.relayed, Trailer: trailer}, nil
}

// Respond implements Exchange.
func (e *exchange) Respond(ctx context.Context, r *Response) error {
	e.mu.Lock()
	up := e.upstream
	e.mu.Unlock()
	if up == nil {
		return fmt.Errorf("%w: there is no response yet", ErrPhase)
	}
	changed := !e.relayed.isAll(r.Body)
	if e.relayed.none && changed {
		if err := mustBeEmpty(r.Body, "a response"); err != nil {
			return err
		}
	}
	var c change
	if err := c.response(up, r, changed); err != nil {
		return err
	}
	if err := e.advance(phaseForwarded, phaseResponding); err != nil {
		return err
	}
	if err := e.s.answerResponse(c.mutation()); err != nil {
		return err
	}
	if !e.relayed.none {
		stop := context.AfterFunc(ctx, func() { e.abort(ctx.Err()) })
		defer stop()
		if err := e.s.relay(r.Body, &e.relayed, r.Trailer); err != nil {
			e.abort(err)
			return err
		}
	}
	return e.advance(phaseResponding, phaseResponded)
}

// Refuse implements Exchange.
func (e *exchange) Refuse(status int, header http.Header, body []byte) error {
	err := e.refuse(status, header, body)
	if err == nil {
		e.s.metrics.refuse(refusedByHandler)
	}
	return err
}

func (e *exchange) refuse(status int, header http.Header, body []byte) error {
	var c change
	if status < 200 || status > 599 {
		return fmt.Errorf("%w: a refusal with status %d", ErrNotMutable, status)
	}
	if err := c.headers(nil, header); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.phase > phaseForwarded {
		return fmt.Errorf("%w: the response has begun", ErrPhase)
	}
	e.phase = phaseRefused
	return e.s.answerSelf(status, c.mutation(), body, "weir_refused")
}

func (e *exchange) advance(from, to phase) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.phase != from {
		return ErrPhase
	}
	e.phase = to
	return nil
}

// errAborted ends an exchange whose handler cannot go on with it.
var errAborted = errors.New("extproc: exchange aborted")

// abort ends the exchange in the middle. What the client has of it is cut off,
// so that it does not pass for the whole. What the client has whole stays, and
// what has ended has ended.
func (e *exchange) abort(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.phase < phaseResponded && !errors.Is(err, ErrEnded) {
		e.s.fail(fmt.Errorf("%w: %w", errAborted, err))
	}
}

// conclude sees to an exchange that its handler has left, and reports whether
// that was in order. A client that has no answer gets 500.
func (e *exchange) conclude() bool {
	err := e.refuse(http.StatusInternalServerError, nil, []byte("weir: the gateway has no answer\n"))
	if err == nil && e.s.failure() == nil {
		return false
	}
	e.abort(errors.New("the handler left"))
	return true
}
