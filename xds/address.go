package xds

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// address is a host (an IP address or a name) and a port.
type address struct {
	host string
	port uint16
}

// parseListen reads the address of a listener: an IP address and a port.
func parseListen(s string) (address, error) {
	a, err := splitAddress(s)
	if err != nil {
		return address{}, fmt.Errorf("listen %q is not host:port", s)
	}
	switch a.host {
	case "localhost":
		a.host = "127.0.0.1"
	case "":
		a.host = "0.0.0.0"
	}
	if !a.isIP() {
		return address{}, fmt.Errorf("listen %q must be an IP address of this machine and a port", s)
	}
	return a, nil
}

// parseEndpoint reads the address of an upstream: a name or an IP address, and
// a port.
func parseEndpoint(s string) (address, error) {
	a, err := splitAddress(s)
	if err != nil || a.host == "" {
		return address{}, fmt.Errorf("upstream address %q is not host:port", s)
	}
	return a, nil
}

func splitAddress(s string) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return address{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, err
	}
	if n == 0 {
		return address{}, fmt.Errorf("port 0")
	}
	return address{host: host, port: uint16(n)}, nil
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

func (a address) ip() netip.Addr {
	ip, _ := netip.ParseAddr(a.host)
	return ip.Unmap()
}

func (a address) isIP() bool { return a.ip().IsValid() }

func (a address) loopback() bool { return a.ip().IsLoopback() }

// overlaps says whether two listeners cannot both have their address.
func (a address) overlaps(b address) bool {
	if a.port != b.port {
		return false
	}
	x, y := a.ip(), b.ip()
	if x == y {
		return true
	}
	// [::] takes IPv4 too; 0.0.0.0 only IPv4.
	return x == netip.IPv6Unspecified() || y == netip.IPv6Unspecified() ||
		x.Is4() && y.Is4() && (x.IsUnspecified() || y.IsUnspecified())
}

func (a address) proto() *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       a.host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.port)},
		Ipv4Compat:    a.host == "::",
	}}}
}

func pipe(path string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
}
