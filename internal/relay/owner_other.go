//go:build !linux && !darwin

package relay

import "net"

// sameUser is true where the system does not tell who is connecting: there the
// mode of the socket's file alone keeps others out.
func sameUser(*net.UnixConn) (bool, error) { return true, nil }
