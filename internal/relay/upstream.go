package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// Upstream are the servers of one target.
type Upstream struct {
	addresses []string // host:port
	dialer    net.Dialer
	next      atomic.Uint64 // which one the next connection tries first
}

// NewUpstream makes the upstream of a target from its servers' addresses
// (host:port, at least one). Connecting to one may take timeout.
func NewUpstream(addresses []string, timeout time.Duration) (*Upstream, error) {
	if len(addresses) == 0 {
		return nil, errors.New("relay: a target without a server")
	}
	return &Upstream{addresses: addresses, dialer: net.Dialer{
		Timeout: timeout,
		// As Envoy's listeners: a far end that has vanished is noticed within two
		// minutes.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 6},
	}}, nil
}

// Dial connects to the server at address or, where that is "", to one of the
// target's: each connection begins with the next of them and goes on until one
// takes it. The error says what each of them answered.
func (u *Upstream) Dial(ctx context.Context, address string) (net.Conn, error) {
	if address != "" {
		return u.dialer.DialContext(ctx, "tcp", address)
	}
	var errs []error
	first := u.next.Add(1) - 1
	for i := range uint64(len(u.addresses)) {
		conn, err := u.dialer.DialContext(ctx, "tcp", u.addresses[(first+i)%uint64(len(u.addresses))])
		if err == nil {
			return conn, nil
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("relay: no server takes the connection: %w", errors.Join(errs...))
}
