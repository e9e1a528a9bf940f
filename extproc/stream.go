package extproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// stream is one gRPC stream of ext_proc in FULL_DUPLEX_STREAMED mode: one
// tunnel or one HTTP exchange.
//
// Its goroutine (receive) takes what Envoy sends and puts it before those who
// read; whoever has data for Envoy sends it in its own goroutine.
type stream struct {
	cfg     *Config
	metrics *metrics
	grpc    grpc.ServerStream
	pool    mem.BufferPool
	ahead   *atomic.Int64 // bytes that all streams have borrowed (see pace)

	mu           sync.Mutex
	half         [2]half
	pace         pace
	err          error // why nothing comes any more
	gone         bool  // Envoy ended the stream
	responseHead *extprocv3.HttpHeaders
	responseFrom string // why the response is what it is, as Envoy says, "" if it does not
	upstream     string // host:port that a tunnel leads to, "" while that is not known

	// onEnd is called when the stream ends. onResponse, if any, is called with the
	// response's headers by the goroutine that receives.
	onEnd      context.CancelFunc
	onResponse func(*extprocv3.HttpHeaders) error
	// refused says that the client was not admitted: there is no server.
	refused atomic.Bool
	// done is closed when nothing will be received any more.
	done chan struct{}

	sendMu   sync.Mutex
	out      outbound
	sealed   [2]bool // the last chunk of the direction was sent
	answered bool    // the gateway answered: nothing may follow
}

func (s *Server) newStream(g grpc.ServerStream, onEnd context.CancelFunc) *stream {
	st := &stream{cfg: &s.cfg, metrics: s.metrics, grpc: g, pool: s.pool, ahead: &s.ahead, onEnd: onEnd, done: make(chan struct{})}
	st.half[request].init(&st.mu)
	st.half[response].init(&st.mu)
	st.pace.init(st)
	return st
}

// receive takes messages until the stream ends or something is wrong with it.
func (s *stream) receive() {
	defer close(s.done)
	var in inbound
	for {
		if err := s.pace.admit(); err != nil {
			s.fail(err)
			return
		}
		if err := s.grpc.RecvMsg(&in); err != nil {
			s.ended(err)
			return
		}
		if err := s.take(&in); err != nil {
			s.fail(err)
			return
		}
	}
}

// ended notes that RecvMsg failed: usually the client or the target left, and
// Envoy ended or cancelled the stream. A message that is no message is told apart.
func (s *stream) ended(err error) {
	if errors.Is(err, io.EOF) || s.grpc.Context().Err() != nil {
		s.mu.Lock()
		s.gone = true
		s.mu.Unlock()
		s.fail(ErrEnded)
		return
	}
	s.fail(protocolError(err.Error()))
}

func (s *stream) take(in *inbound) error {
	if in.full == nil {
		return s.push(in)
	}
	switch m := in.full.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		s.noteOrigin(in.full)
		return s.takeResponse(m.ResponseHeaders)
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return s.takeTrailers(request, m.RequestTrailers)
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return s.takeTrailers(response, m.ResponseTrailers)
	default:
		return protocolError(fmt.Sprintf("a message of type %T", m))
	}
}

func (s *stream) noteOrigin(m *extprocv3.ProcessingRequest) {
	from := m.GetAttributes()[attributesKey].GetFields()["response.code_details"].GetStringValue()
	s.mu.Lock()
	s.responseFrom = from
	s.mu.Unlock()
}

func (s *stream) takeResponse(h *extprocv3.HttpHeaders) error {
	s.mu.Lock()
	again := s.responseHead != nil
	s.responseHead = h
	s.half[response].ended = h.GetEndOfStream()
	s.half[response].readable.Broadcast()
	s.mu.Unlock()
	if again {
		return protocolError("response headers twice")
	}
	if s.onResponse == nil {
		return nil
	}
	return s.onResponse(h)
}

func (s *stream) takeTrailers(dir direction, t *extprocv3.HttpTrailers) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.half[dir]
	if h.ended || s.headersMissing(dir) {
		return protocolError("trailers that cannot come now")
	}
	h.ended = true
	h.trailers = t.GetTrailers()
	h.readable.Broadcast()
	return nil
}

// fail ends the stream for all who read and write. What arrived before can
// still be read.
func (s *stream) fail(err error) {
	defer s.onEnd()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.pace.stop()
	s.pace.resumed.Broadcast()
	for dir := range s.half {
		s.half[dir].readable.Broadcast()
		s.half[dir].writable.Broadcast()
	}
}

// failure is why the stream ended, or nil while it lives.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// release frees what nobody read. Nothing arrives any more.
func (s *stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.half[request].arrived.clear()
	s.half[response].arrived.clear()
	s.pace.await(false)
	s.pace.reset(request)
}

// await is Tunnel.Await.
func (s *stream) await(awaited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace.await(awaited)
}

func protocolError(what string) error { return fmt.Errorf("%w: %s", ErrProtocol, what) }
