package extproc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Process implements Envoy's ExternalProcessor. Envoy opens a stream for every
// CONNECT and every HTTP request.
//
// It returns nil only after Envoy has ended the stream: if it did so earlier,
// Envoy would let all later bytes pass by.
func (s *Server) Process(g extprocv3.ExternalProcessor_ProcessServer) error {
	ctx, leave, ok := s.enter(g.Context())
	if !ok {
		s.metrics.refuse(refusedDraining)
		return status.Error(codes.Unavailable, "weir is shutting down")
	}
	defer leave()
	first, err := firstMessage(g)
	switch {
	case err != nil && g.Context().Err() != nil:
		return errAway // as when a client sends what is no HTTP: Envoy opens a stream and closes the connection
	case err != nil:
		s.metrics.refuse(refusedProtocol)
		s.log.WarnContext(ctx, "ext_proc: a stream was refused", "err", err)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	st := s.newStream(g, func() { cancel(ErrEnded) })
	defer st.release()
	target := targetOf(ctx)
	if own := first.GetResponseHeaders(); own != nil {
		return s.relayOwn(st, own)
	}
	head := readHead(first.GetRequestHeaders().GetHeaders())
	if head.method == http.MethodConnect {
		defer s.count(kindTunnel)()
		return s.serveTunnel(ctx, st, target, head)
	}
	defer s.count(kindExchange)()
	return s.serveExchange(ctx, st, target, head, first)
}

// count counts a stream as open until the function that it returns is called.
func (s *Server) count(kind string) func() {
	gauge := s.metrics.open.WithLabelValues(kind)
	gauge.Inc()
	return gauge.Dec
}

// firstMessage receives the message that a stream must begin with: the request's
// headers, or those of a refusal of Envoy's own (see relayOwn), from a filter that
// is set up as this service needs it.
func firstMessage(g extprocv3.ExternalProcessor_ProcessServer) (*extprocv3.ProcessingRequest, error) {
	var in inbound
	if err := g.RecvMsg(&in); err != nil {
		return nil, protocolError("no first message: " + err.Error())
	}
	in.body.free()
	m := in.full
	const full = filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	switch {
	case m.GetRequestHeaders() == nil && !refusesItself(m.GetResponseHeaders()):
		return nil, protocolError("the first message must be the request's headers")
	case m.GetObservabilityMode():
		return nil, protocolError("the filter only observes (observability_mode)")
	case m.GetProtocolConfig().GetRequestBodyMode() != full || m.GetProtocolConfig().GetResponseBodyMode() != full:
		return nil, protocolError("both body modes of the filter must be FULL_DUPLEX_STREAMED")
	}
	return m, nil
}

// targetOf is the target that Envoy's configuration names, "" if it names none
// or several. A client has no way to write it.
func targetOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("weir-target"); len(v) == 1 {
		return v[0]
	}
	return ""
}

// turnAway refuses a stream that no handler has seen.
func (s *Server) turnAway(ctx context.Context, st *stream, target, reason string, code int) error {
	s.metrics.refuse(reason)
	s.log.WarnContext(ctx, "ext_proc: a stream was refused", "target", target, "reason", reason)
	if err := st.answerSelf(code, nil, []byte("weir: "+reason+"\n"), "weir_"+reason); err != nil {
		return errAway
	}
	st.closeReads()
	go st.receive()
	return st.finish()
}

// run calls a handler. A panic of it ends its session, not the process.
func (s *Server) run(ctx context.Context, target string, serve func()) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			s.metrics.refuse(refusedPanic)
			s.log.ErrorContext(ctx, "ext_proc: a handler panicked", "target", target,
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	serve()
	return true
}

// finish waits until Envoy has ended a stream that is over. A stream on which
// something went wrong, or that Envoy does not end, is ended with an error:
// Envoy then resets the connection.
func (s *stream) finish() error {
	if s.broken() == nil {
		timer := time.NewTimer(s.cfg.Linger)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
			s.fail(errLinger)
		}
	}
	// From here on nobody may send. A send that is stuck ends with the stream.
	if s.sendMu.TryLock() {
		s.sealed = [2]bool{true, true}
		s.sendMu.Unlock()
	}
	if err := s.broken(); err != nil {
		return status.Error(codes.Aborted, err.Error())
	}
	return nil
}

// errAway is the end of a stream on which Envoy takes nothing any more.
var errAway = status.Error(codes.Canceled, ErrEnded.Error())

// errLinger ends a stream that Envoy left open.
var errLinger = errors.New("extproc: the stream was not ended")

// broken is why the stream ended other than by Envoy's doing.
func (s *stream) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	return s.err
}
