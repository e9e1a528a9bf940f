package postgres

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
)

// maxWaiting bounds how many connections of a target wait for a place.
const maxWaiting = 1000

var (
	errLineFull = errors.New("too many connections wait to sign in")
	errTooLong  = errors.New("no place to sign in became free in time")
)

// line gives out the places of connections that have not signed in. Over ext_proc
// each of them costs the server a connection, so without a bound whoever reaches
// the listener could take all that the server has, without any token. Those for
// whom there is no place wait.
//
// Nobody can take what others need by being many: the next place goes to the host
// that has the fewest, and when too many wait, the host with the most waiting
// loses its last.
type line struct {
	mu      sync.Mutex
	perHost int
	total   int
	taken   int
	held    map[string]int // places, by host
	waiting []*waiter      // in order of arrival
}

// waiter is one connection that waits.
type waiter struct {
	host  string
	ready chan error // told once: nil is a place
}

// bound sets how many places there are, for each host and together.
func (l *line) bound(perHost, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.perHost, l.total = perHost, total
	l.grant()
}

// enter takes a place for a connection from a host, and waits for one as long as
// ctx lasts. leave gives it back; it may be called more than once.
func (l *line) enter(ctx context.Context, host string) (leave func(), err error) {
	w := &waiter{host: host, ready: make(chan error, 1)}
	if err := l.queue(w); err != nil {
		return nil, err
	}
	select {
	case err = <-w.ready:
	case <-ctx.Done():
		if err = l.giveUp(w); err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errTooLong
		}
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { l.leave(host) }), nil
}

// queue puts a connection at the end of the line, and gives it a place if there is
// one.
func (l *line) queue(w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
	l.grant()
	if len(l.waiting) <= maxWaiting {
		return nil
	}
	last := l.lastOfMost()
	if last == w {
		l.remove(w)
		return errLineFull
	}
	last.ready <- errLineFull
	l.remove(last)
	return nil
}

// lastOfMost is who came last of the host from which the most wait.
func (l *line) lastOfMost() *waiter {
	count := map[string]int{}
	most := 0
	for _, w := range l.waiting {
		count[w.host]++
		most = max(most, count[w.host])
	}
	for _, w := range slices.Backward(l.waiting) {
		if count[w.host] == most {
			return w
		}
	}
	return nil // nobody waits
}

// giveUp takes a connection out of the line. It may have been given a place, or
// been refused, in that moment: then that stands.
func (l *line) giveUp(w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case err := <-w.ready:
		return err
	default:
	}
	l.remove(w)
	return context.Canceled
}

func (l *line) remove(w *waiter) {
	l.waiting = slices.DeleteFunc(l.waiting, func(o *waiter) bool { return o == w })
}

func (l *line) leave(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
	if l.held[host]--; l.held[host] == 0 {
		delete(l.held, host)
	}
	l.grant()
}

// grant gives out the places that are free: each to the host that has the fewest,
// and of those to who came first.
func (l *line) grant() {
	for l.taken < l.total {
		var next *waiter
		for _, w := range l.waiting {
			if l.held[w.host] < l.perHost && (next == nil || l.held[w.host] < l.held[next.host]) {
				next = w
			}
		}
		if next == nil {
			return
		}
		l.remove(next)
		l.taken++
		if l.held == nil {
			l.held = map[string]int{}
		}
		l.held[next.host]++
		next.ready <- nil
	}
}

// hostOf is what counts as one host of a client's address (host:port): of IPv6 the
// network of 64 bits, as anybody has all of one.
func hostOf(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return address
	}
	host := at.Addr().Unmap()
	if host.Is4() {
		return host.String()
	}
	network, err := host.WithZone("").Prefix(64)
	if err != nil {
		return host.String()
	}
	return network.String()
}
