package extproc

import (
	"context"
	"errors"
	"net/http"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// The headers of a CONNECT request in which Envoy's tunneling_config tells of
// the client. Nobody else can write them there.
const (
	headerClient = "weir-client"
	headerSNI    = "weir-sni"
	headerURISAN = "weir-peer-uri-san"
	headerTLS    = "weir-client-tls"
	// headerRefused is set by this service on a CONNECT request of a client that was
	// not admitted: Envoy's route leads it to the fallback, not to the target.
	headerRefused = "weir-refused"
	// headerUpstream is set by Envoy's route on the response to CONNECT: the
	// address that it connected to.
	headerUpstream = "weir-upstream"
)

// serveTunnel hands a CONNECT stream to the target's handler.
func (s *Server) serveTunnel(ctx context.Context, st *stream, target string, head *head) error {
	handler, ok := s.handlers.Tunnel(target)
	if !ok {
		return s.turnAway(ctx, st, target, refusedTarget, http.StatusForbidden)
	}
	peer := tunnelPeer(head.header)
	t := &Tunnel{Target: target, Peer: peer}
	st.onResponse = func(h *extprocv3.HttpHeaders) error { return s.connected(ctx, st, target, h) }
	go st.receive() // a client that leaves waits no longer
	// The client's bytes come only after Envoy has connected to the target, so
	// the request goes on before anybody has signed in, and that is why it may wait.
	if admitted, err := s.admit(ctx, st, handler, t); !admitted {
		return err
	}
	defer t.SignedIn()
	client, server := st.newConn(request, peer.Address), st.newConn(response, target)
	t.Client, t.Server, t.Await = client, server, st.await
	if !s.run(ctx, target, func() { handler.ServeTunnel(ctx, t) }) {
		st.fail(errPanic)
	}
	client.stopTimers()
	server.stopTimers()
	err := st.closeTunnel()
	if cause := st.broken(); cause != nil {
		s.logBroken(ctx, target, cause)
	}
	return err
}

// admit lets the request go on when the handler admits the client: to the target,
// or where it does not admit it to the fallback. Without a fallback the client is
// refused without a word. It returns false when the stream is over, with its end.
func (s *Server) admit(ctx context.Context, st *stream, handler TunnelHandler, t *Tunnel) (bool, error) {
	var leave func()
	if !s.run(ctx, t.Target, func() { leave, t.Refused = handler.Admit(ctx, t.Peer) }) {
		st.fail(errPanic)
		return false, st.finish()
	}
	if t.Refused == nil {
		t.SignedIn = leave
		if err := st.answerRequest(nil); err != nil {
			leave()
			return false, errAway
		}
		return true, nil
	}
	if st.failure() != nil { // it has left meanwhile
		return false, st.finish()
	}
	s.metrics.refuse(refusedAdmission)
	t.SignedIn = func() {}
	if s.cfg.Fallback != "" {
		st.refused.Store(true)
		if err := st.answerRefused(); err != nil {
			return false, errAway
		}
		return true, nil
	}
	if err := st.answerSelf(http.StatusForbidden, nil, nil, "weir_"+refusedAdmission); err != nil {
		return false, errAway
	}
	st.closeReads()
	return false, st.finish()
}

// logBroken notes why a stream did not end as it should.
func (s *Server) logBroken(ctx context.Context, target string, cause error) {
	switch {
	case errors.Is(cause, errPanic): // was noted with its stack
		return
	case errors.Is(cause, ErrOverrun):
		s.metrics.refuse(refusedOverrun)
	case errors.Is(cause, ErrProtocol):
		s.metrics.refuse(refusedProtocol)
	}
	s.log.WarnContext(ctx, "ext_proc: a session was ended", "target", target, "err", cause)
}

// errPanic ends the session of a handler that panicked.
var errPanic = errors.New("extproc: the handler failed")

// connected takes the answer to CONNECT: 200 when the target's connection
// stands.
//
// When it does not stand, Envoy answers with 503, and closes the client's
// connection if that passes. Tried with Envoy 1.40: with the status changed to
// 200, what is then sent as the response's body reaches the client. What the
// client says does not reach us any more, because to Envoy this exchange is over.
// So a client can be told only what needs no answer. With a fallback upstream
// (see ServeFallback) nothing is missing.
func (s *Server) connected(ctx context.Context, st *stream, target string, h *extprocv3.HttpHeaders) error {
	head := readHead(h.GetHeaders())
	up := head.status == http.StatusOK
	if upstream := head.header.Get(headerUpstream); up && (s.cfg.Fallback == "" || upstream != s.cfg.Fallback) {
		st.noteUpstream(present(upstream))
		return st.answerResponse(nil)
	}
	if !st.refused.Load() {
		s.metrics.refuse(refusedUpstream)
		s.log.WarnContext(ctx, "ext_proc: the target refused the connection", "target", target, "status", head.status)
	}
	st.refuseServer(!up)
	if up {
		return st.answerResponse(nil)
	}
	if err := st.answerResponse(&extprocv3.HeaderMutation{
		SetHeaders:    []*corev3.HeaderValueOption{setHeader(":status", "200")},
		RemoveHeaders: []string{"content-length", "content-type"},
	}); err != nil {
		return err
	}
	st.openResponse()
	return nil
}

// refuseServer lets all use of the server's end fail; with all, reading from the
// client's end too.
func (s *stream) refuseServer(all bool) {
	s.mu.Lock()
	s.half[request].shut = ErrUpstreamRefused
	s.half[request].writable.Broadcast()
	s.mu.Unlock()
	s.closeRead(response, ErrUpstreamRefused)
	if all {
		s.closeRead(request, ErrUpstreamRefused)
	}
}

// noteUpstream keeps where the tunnel leads.
func (s *stream) noteUpstream(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = address
}

// upstreamAddress is where the tunnel leads, "" while that is not known.
func (s *stream) upstreamAddress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upstream
}

func (s *stream) openResponse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.half[response].open = true
	s.half[response].writable.Broadcast()
}

// closeTunnel ends both directions. What was written to the client before is
// delivered: the end of the response is a chunk behind it.
func (s *stream) closeTunnel() error {
	s.closeReads()
	if s.failure() == nil {
		_ = s.closeWrite(request) // these fail only if the stream has ended
		_ = s.closeWrite(response)
		_ = s.resetUnopened()
	}
	return s.finish()
}

// resetUnopened makes Envoy reset the client's connection if the way to it never
// opened: then there is no end to send.
func (s *stream) resetUnopened() error {
	s.mu.Lock()
	open := s.half[response].open
	s.mu.Unlock()
	if open {
		return nil
	}
	return s.answerSelf(http.StatusForbidden, nil, nil, "weir_closed")
}

func tunnelPeer(h http.Header) Peer {
	return Peer{
		Address:    present(h.Get(headerClient)),
		ServerName: present(h.Get(headerSNI)),
		URISAN:     present(h.Get(headerURISAN)),
		TLS:        present(h.Get(headerTLS)),
	}
}

// present is a value that Envoy wrote: it writes "-" for none.
func present(value string) string {
	if value == "-" {
		return ""
	}
	return value
}
