package extproc

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/mem"
)

// sendBody sends one chunk, of at most Config.ChunkSize bytes. body can be used
// again as soon as it returns.
func (s *stream) sendBody(dir direction, body []byte, end bool) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if s.sealed[dir] {
		return ErrEnded
	}
	s.sealed[dir] = end
	s.out = outbound{data: s.encode(dir, body, end)}
	if err := s.grpc.SendMsg(&s.out); err != nil {
		return ErrEnded
	}
	s.metrics.sent(dir, len(body))
	return nil
}

// encode makes the message in a buffer that gRPC frees once it is written.
func (s *stream) encode(dir direction, body []byte, end bool) mem.Buffer {
	size := len(body) + maxBodyOverhead
	if mem.IsBelowBufferPoolingThreshold(size) {
		return mem.SliceBuffer(appendBodyAnswer(make([]byte, 0, size), dir, body, end))
	}
	buf := s.pool.Get(size)
	*buf = appendBodyAnswer((*buf)[:0], dir, body, end)
	return mem.NewBuffer(buf, s.pool)
}

// send sends any other message.
func (s *stream) send(m *extprocv3.ProcessingResponse) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if s.answered {
		return ErrEnded
	}
	return s.sendLocked(m)
}

// sendLocked sends with sendMu held.
func (s *stream) sendLocked(m *extprocv3.ProcessingResponse) error {
	s.out = outbound{full: m}
	if err := s.grpc.SendMsg(&s.out); err != nil {
		return ErrEnded
	}
	return nil
}

// answerRequest lets the request's headers go on.
func (s *stream) answerRequest(m *extprocv3.HeaderMutation) error {
	return s.send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: headersAnswer(m),
	}})
}

// answerRefused lets the request's headers go on, to the fallback.
func (s *stream) answerRefused() error {
	answer := headersAnswer(&extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{setHeader(headerRefused, "1")}})
	answer.Response.ClearRouteCache = true // the route is another with it
	return s.send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: answer}})
}

// answerResponse lets the response's headers go on.
func (s *stream) answerResponse(m *extprocv3.HeaderMutation) error {
	return s.send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{
		ResponseHeaders: headersAnswer(m),
	}})
}

func headersAnswer(m *extprocv3.HeaderMutation) *extprocv3.HeadersResponse {
	if m == nil {
		return &extprocv3.HeadersResponse{}
	}
	return &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: m}}
}

// answerTrailers ends a direction with its trailers.
func (s *stream) answerTrailers(dir direction, m *extprocv3.HeaderMutation) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if s.sealed[dir] {
		return ErrEnded
	}
	s.sealed[dir] = true
	t := &extprocv3.TrailersResponse{HeaderMutation: m}
	if dir == request {
		return s.sendLocked(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: t}})
	}
	return s.sendLocked(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: t}})
}

// answerSelf makes Envoy answer the client with this, and end the stream. Before
// response headers went to the client it is a whole response; after that Envoy
// resets the connection. Nothing can be sent after it.
func (s *stream) answerSelf(status int, m *extprocv3.HeaderMutation, body []byte, details string) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if s.answered {
		return ErrEnded
	}
	s.answered = true
	s.sealed = [2]bool{true, true}
	return s.sendLocked(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(status)},
			Headers: m,
			Body:    body,
			Details: details,
		},
	}})
}
