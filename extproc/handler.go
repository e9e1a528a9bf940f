// Package extproc speaks Envoy's external processing and authorization
// services. It turns a stream of a CONNECT tunnel into two net.Conns and the
// stream of an HTTP request into an Exchange, finds the target that the stream
// is for, and hands both to the handler of that target's protocol. It knows no
// SQL, no policy and no store.
package extproc

import (
	"context"
	"io"
	"net"
	"net/http"
)

// Peer is the far end of a stream, as Envoy attested it. Nothing in it was
// written by the client except where Envoy verified it.
type Peer struct {
	Address    string // host:port of the client
	ServerName string // SNI, where Envoy terminated or inspected TLS
	URISAN     string // URI SAN of a verified client certificate
	TLS        string // TLS version of the client's connection to Envoy, "" in clear
}

// Tunnel is a client's raw connection to a target, both ends of it. Who connects
// to the target is one of two. Envoy has done so where Server is set: there a
// direction opens only after its own side has sent a first chunk, so writes to
// Client block until the server has sent something, and writes to Server until
// the client has. Otherwise Dial is set, and nobody has connected yet.
//
// Both ends have CloseWrite. What was written to Client before it was closed is
// delivered; closing it, or its CloseWrite, ends the tunnel. A client that closes
// its connection ends the tunnel too, so Client gives io.EOF for any end of it.
// Server gives io.EOF when the target closed, and ErrEnded when the tunnel ended.
//
// When the target refuses the connection, all use of Server fails with
// ErrUpstreamRefused, and Client can be talked to as ever (with a fallback
// upstream, see Server.ServeFallback; without one, reading from Client fails with
// ErrUpstreamRefused too, and only writing to it is possible).
type Tunnel struct {
	Target string
	Peer   Peer
	Client net.Conn
	// Server is the target's end, where Envoy connects to it. Its RemoteAddr is the
	// server's host:port once that has said something, where Envoy tells it.
	Server net.Conn
	// Await says whether the handler needs the server before it reads on from the
	// client, so that what it needs is not kept behind what the client sends
	// meanwhile. It is set with Server, where both come by one way.
	Await func(awaited bool)
	// Dial connects to one of the target's servers where Envoy does not. The
	// connection is closed with the tunnel.
	Dial func(ctx context.Context) (net.Conn, error)
	// Refused is why the client was not admitted, nil if it was. Then there is no
	// server: the client can be told, and that is all.
	Refused error
	// SignedIn says that the client has proven who it is: another one may be
	// admitted. The handler may leave that out, and call it more than once.
	SignedIn func()
}

// TunnelHandler serves one tunnel. When it returns, both ends are closed; when it
// panics, the connection is reset. ctx ends with the tunnel, at the latest when
// what the client had sent before it left has been read: its cause is ErrEnded then.
// It also ends when the gateway shuts down; there is then still time for last words.
type TunnelHandler interface {
	// Admit comes first, before anybody has connected to the target for this client:
	// it waits until the client may come in. leave is called once, when the client
	// has signed in, or when its tunnel has ended. A client that may not come in is
	// served all the same, as refused, where it can be told so. ctx ends as that of
	// ServeTunnel.
	Admit(ctx context.Context, p Peer) (leave func(), err error)
	ServeTunnel(ctx context.Context, t *Tunnel)
}

// Request is an HTTP request on its way to the target.
type Request struct {
	Method    string
	Scheme    string
	Authority string
	Path      string // with query, as sent
	Header    http.Header
	Body      io.Reader // never nil
	HasBody   bool      // false when the headers ended the request
	// Trailer is filled when Body has been read to its end, and sent on as it is
	// then. One without the original's map in it is sent without trailers.
	Trailer http.Header
}

// Response is an HTTP response on its way to the client.
type Response struct {
	Status int
	Header http.Header
	Body   io.Reader // never nil
	// Trailer is as in Request.
	Trailer http.Header
}

// Exchange is one HTTP request and its response. A handler either refuses it or
// forwards the request and then responds.
type Exchange interface {
	Target() string
	Peer() Peer
	// Request is what the client sent. Its body arrives while it is read.
	Request() *Request
	// Forward sends the request (as the handler changed it) to the target, its
	// body while it is read, and returns the target's response once its headers
	// are there. Method, scheme and authority cannot change, and a request without
	// a body cannot be given one: ErrNotMutable. If the body fails, the exchange is
	// ended. After an error the exchange can be refused.
	Forward(ctx context.Context, r *Request) (*Response, error)
	// Respond sends the response (as the handler changed it) to the client and
	// returns when all of its body has been handed to Envoy. If the body fails or
	// ctx ends before, the client's connection is cut off.
	Respond(ctx context.Context, r *Response) error
	// Refuse answers the client itself. It is possible until Respond was called.
	Refuse(status int, header http.Header, body []byte) error
}

// ExchangeHandler serves one exchange. An exchange that was neither refused nor
// responded to when it returns is answered with 500: nothing passes by default.
// ctx ends when the client or the target has gone, and when the gateway shuts down.
type ExchangeHandler interface {
	ServeExchange(ctx context.Context, e Exchange)
}

// HeaderHandler judges a request by its headers alone (ext_authz). It returns
// the request as it may go on, or a refusal.
type HeaderHandler interface {
	CheckHeaders(ctx context.Context, target string, p Peer, r *Request) (*Request, *Refusal)
}

// Refusal is an answer of the gateway's own to an HTTP request.
type Refusal struct {
	Status int
	Header http.Header
	Body   []byte
}

// Handlers finds the handler of a target. A target that nobody serves is
// refused.
type Handlers interface {
	Tunnel(target string) (TunnelHandler, bool)
	Exchange(target string) (ExchangeHandler, bool)
	Headers(target string) (HeaderHandler, bool)
}
