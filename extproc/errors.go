package extproc

import (
	"errors"
	"fmt"
	"io"
)

var (
	// ErrUpstreamRefused reports that Envoy could not connect to the target, or had
	// no answer of it. The client is still there, and can be told so: see Tunnel.
	ErrUpstreamRefused = errors.New("extproc: upstream refused")

	// ErrEnded reports that Envoy ended the stream: the client or the target has
	// gone, or the gateway shut down.
	ErrEnded = fmt.Errorf("extproc: stream ended: %w", io.ErrUnexpectedEOF)

	// ErrOverrun ends a session in which one side sent Config.MaxBuffered bytes
	// that the handler did not read while it waited for the other side.
	ErrOverrun = errors.New("extproc: too much unread data")

	// ErrProtocol ends a stream on which something else than Envoy's external
	// processing in FULL_DUPLEX_STREAMED mode was spoken.
	ErrProtocol = errors.New("extproc: not the protocol")

	// ErrNotMutable reports a change to a request or response that Envoy does not
	// let an external processor make.
	ErrNotMutable = errors.New("extproc: cannot be changed")

	// ErrPhase reports a call that is not possible (any more): a second Forward,
	// a refusal after the response began.
	ErrPhase = errors.New("extproc: out of order")
)
