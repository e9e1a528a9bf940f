package extproc

import (
	"context"
	"io"
	"net/http"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// body reads a request's or response's body while it arrives.
type body struct {
	s       *stream
	dir     direction
	trailer http.Header // is filled at the end
	filled  bool
	none    bool // the headers were all of the message
	begun   bool // the handler has read of it
}

func (b *body) Read(p []byte) (int, error) {
	n, _, err := b.s.read(b.dir, p, nil)
	b.begun = b.begun || n > 0
	if err == io.EOF { //nolint:errorlint // read returns it bare
		b.fillTrailer()
	}
	return n, err
}

// isAll says that r is this body, and all of it.
func (b *body) isAll(r io.Reader) bool { return r == io.Reader(b) && !b.begun }

func (b *body) fillTrailer() {
	if b.filled {
		return
	}
	b.filled = true
	for name, values := range readHead(b.s.trailersOf(b.dir)).header {
		b.trailer[name] = values
	}
}

func (s *stream) trailersOf(dir direction) *corev3.HeaderMap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.half[dir].trailers
}

// relay sends a body in the direction of the original as it is read, and then
// the original's trailers as trailer has them, or the end.
func (s *stream) relay(r io.Reader, original *body, trailer http.Header) error {
	buf := s.pool.Get(s.cfg.ChunkSize)
	defer s.pool.Put(buf)
	copyBody := s.copyChanged
	if original.isAll(r) {
		copyBody = s.copyOriginal
	}
	complete, err := copyBody(*buf, r, original)
	if err != nil || complete {
		return err
	}
	trailers := s.trailersOf(original.dir)
	if trailers == nil {
		_, err := s.write(original.dir, nil, true, nil)
		return err
	}
	var c change
	if err := c.headers(readHead(trailers).header, trailer); err != nil {
		return err
	}
	return s.answerTrailers(original.dir, c.mutation())
}

// copyOriginal gives back what arrives. It reports whether the end is sent too.
func (s *stream) copyOriginal(buf []byte, _ io.Reader, original *body) (complete bool, err error) {
	for {
		n, last, err := s.read(original.dir, buf, nil)
		if err == io.EOF { //nolint:errorlint // read returns it bare
			original.fillTrailer()
			return false, nil
		}
		if err != nil {
			return false, err
		}
		last = last && s.trailersOf(original.dir) == nil
		if _, err := s.write(original.dir, buf[:n], last, nil); err != nil || last {
			return last, err
		}
	}
}

// copyChanged sends what the handler made of a body. The rest of a request is
// read before its end is sent, because Envoy still brings it; the rest of a
// response ends with the stream.
func (s *stream) copyChanged(buf []byte, r io.Reader, original *body) (complete bool, err error) {
	sized, _ := r.(interface{ Len() int })
	for {
		n, err := r.Read(buf)
		last := n > 0 && sized != nil && sized.Len() == 0 && s.canEnd(original.dir)
		if n > 0 {
			if _, err := s.write(original.dir, buf[:n], last, nil); err != nil || last {
				return last, err
			}
		}
		if err == io.EOF { //nolint:errorlint // io.Reader's contract
			break
		}
		if err != nil {
			return false, err
		}
	}
	if original.dir == response {
		return false, nil
	}
	_, err = io.Copy(io.Discard, original)
	return false, err
}

// canEnd says that the end may follow at once: there are no trailers, and of a
// request nothing is left to read.
func (s *stream) canEnd(dir direction) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.half[dir]
	return h.trailers == nil && (dir == response || h.ended && h.arrived.size == 0)
}

// awaitHeaders waits for the response's headers. While it does, it counts as a
// reader of the response.
func (s *stream) awaitHeaders(ctx context.Context) (*extprocv3.HttpHeaders, error) {
	h := &s.half[response]
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		h.readable.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.responseHead != nil:
			return s.responseHead, nil
		case s.err != nil:
			return nil, s.err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		h.readers++
		s.pace.wanted()
		h.readable.Wait()
		h.readers--
	}
}

// attributesKey is under which Envoy sends the request_attributes of the filter.
const attributesKey = "envoy.filters.http.ext_proc"

// attributePeer reads the client from the attributes that Envoy sends along. The
// name in a certificate counts only if Envoy says that it verified it.
func attributePeer(m *extprocv3.ProcessingRequest) Peer {
	fields := m.GetAttributes()[attributesKey].GetFields()
	p := Peer{
		Address:    fields["source.address"].GetStringValue(),
		ServerName: fields["connection.requested_server_name"].GetStringValue(),
		TLS:        fields["connection.tls_version"].GetStringValue(),
	}
	if fields["connection.mtls"].GetBoolValue() {
		p.URISAN = fields["connection.uri_san_peer_certificate"].GetStringValue()
	}
	return p
}
