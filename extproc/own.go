package extproc

import (
	"net/http"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// refusesItself says whether these are the headers of a refusal of Envoy's own.
// What it does not take (a path with two readings, a request without a host) it
// answers itself, and that answer, without a request before it, goes through the
// filter. Of a request that could reach a target this service is always told first.
//
// Of what is no HTTP at all Envoy closes the connection before it could be given
// its answer back.
func refusesItself(h *extprocv3.HttpHeaders) bool {
	return h != nil && readHead(h.GetHeaders()).status >= http.StatusBadRequest
}

// relayOwn gives a refusal of Envoy's own back as it is. Without, the client would
// get 500, or nothing.
func (s *Server) relayOwn(st *stream, h *extprocv3.HttpHeaders) error {
	if err := st.takeResponse(h); err != nil {
		return errAway
	}
	go st.receive()
	defer st.closeReads()
	if err := st.answerResponse(nil); err != nil {
		return errAway
	}
	if !h.GetEndOfStream() {
		whole := &body{s: st, dir: response, trailer: http.Header{}}
		if err := st.relay(whole, whole, whole.trailer); err != nil {
			return errAway
		}
	}
	return st.finish()
}
