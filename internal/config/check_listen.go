package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

type listener struct {
	path string
	addr Address
}

// checkListeners finds two listeners that would want the same port.
func checkListeners(c *Config, r *report) {
	var all []listener
	for _, name := range slices.Sorted(maps.Keys(c.Targets)) {
		if t := c.Targets[name]; t != nil {
			all = append(all, listener{child("targets", quoted(name)) + ".listen", t.Listen})
		}
	}
	all = append(all, listener{"web.listen", c.Web.Listen})
	if x := c.Envoy.External; x != nil {
		all = append(all, listener{"envoy.external.xds", x.XDS})
	}
	for i, a := range all {
		n := slices.IndexFunc(all[:i], func(b listener) bool { return collide(a.addr, b.addr) })
		if n < 0 {
			continue
		}
		b := all[n]
		if !r.given(a.path) { // a default stands in the way of what was written
			a, b = b, a
		}
		r.add(a.path, fmt.Sprintf("%s is taken by %s", a.addr, b.path), "give each listener a port of its own")
	}
}

// collide says whether two listeners cannot both listen: the same port on the
// same host, or on one host and on all.
func collide(a, b Address) bool {
	hostA, portA := a.Split()
	hostB, portB := b.Split()
	if portA == 0 || portA != portB {
		return false
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB) || local(hostA) && local(hostB)
}

func everywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// local: localhost may be either loopback address.
func local(host string) bool { return host == "localhost" || host == "127.0.0.1" }
